/* The floor of a sandbox: the isolation of `"sandbox": "strict"` for root, with the system calls alone. Where a
   service may write, and which of its calls are refused, is what mcp-init says, but for those that it looks at more
   closely: calls whose arguments decide, and the secrets of root that are folders. It finds nothing out, names no
   error, and is fit for this bench only. Kept beside `src/sys/sandbox`. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CLONE_TREE = 1, RECURSIVE = 0x8000, EMPTY = 0x1000, MOVE_EMPTY = 4 };
enum { READ_ONLY = 1, NO_SETUID = 2, NO_DEVICES = 4, NO_EXEC = 8 };
enum { WRITE_FILES = 1 << 1 | 1 << 14, WRITE = 0x7ff2, PATHS_MAX = 24 };

struct path {
    const char *name;
    uint64_t attributes;
    uint64_t written; /* what Landlock lets be done to it */
    int is_folder, tree;
};

static const char *links[] = {"/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"};
static const char *secrets[] = {"/etc/gshadow", "/etc/gshadow-", "/etc/shadow", "/etc/shadow-"};
static const int refused[] = {
    29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, 101, 103, 155, 159, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171,
    172, 173, 175, 176, 179, 220, 227, 240, 241, 246, 248, 249, 250, 272, 298, 304, 305, 308, 310, 311, 312, 313, 320,
    321, 323, 425, 426, 427, 428, 429, 430, 431, 432, 433, 435, 437, 442};
static struct sock_filter filter[5 + sizeof refused / sizeof *refused];
static struct path paths[PATHS_MAX];
static int count;

static void add(const char *name, uint64_t attributes, uint64_t written, int is_folder)
{
    if (access(name, F_OK) == 0 && count < PATHS_MAX)
        paths[count++] = (struct path){name, attributes, written, is_folder, -1};
}

/* What can be made ready before there is a process. */
void prepare_walls(const char *program, const char *written)
{
    static const char *devices[] = {"/dev/full", "/dev/null", "/dev/urandom", "/dev/zero"};
    struct sock_filter *next = filter;
    size_t left = sizeof refused / sizeof *refused;

    for (const char **name = (const char *[]){"/etc", "/opt", "/usr", NULL}; *name != NULL; name++)
        add(*name, READ_ONLY | NO_SETUID | NO_DEVICES, 0, 1);
    for (size_t index = 0; index < 4; index++)
        add(devices[index], READ_ONLY | NO_SETUID | NO_EXEC, WRITE_FILES, 0);
    add(program, READ_ONLY | NO_SETUID | NO_DEVICES, 0, 0);
    add(written, NO_SETUID | NO_DEVICES, WRITE_FILES, 0);
    *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, left + 2);
    *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (; left > 0; left--)
        *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[left - 1], left, 0);
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
}

static void set(int folder, const char *path, unsigned flags, uint64_t attributes)
{
    uint64_t attribute[4] = {attributes};

    if (syscall(SYS_mount_setattr, folder, path, flags, attribute, sizeof attribute) < 0)
        _exit(111);
}

static void attach(int tree, const char *path)
{
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_EMPTY) < 0)
        _exit(112);
}

static void make(const char *path, int is_folder)
{
    char part[4096];

    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        memcpy(part, path, (size_t)(slash - path));
        part[slash - path] = '\0';
        mkdir(part, 0755);
    }
    if (is_folder)
        mkdir(path, 0755);
    else
        mknod(path, S_IFREG | 0444, 0);
}

/* The new root. It makes folders one time too often at most for each path of a bench, and no more. */
static int build(void)
{
    char target[256];
    int context, proc, tmp;

    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    for (int index = 0; index < count; index++) {
        paths[index].tree = (int)syscall(SYS_open_tree, AT_FDCWD, paths[index].name, CLONE_TREE | RECURSIVE | O_CLOEXEC);
        set(paths[index].tree, "", RECURSIVE | EMPTY, paths[index].attributes);
    }
    context = (int)syscall(SYS_fsopen, "proc", 1);
    syscall(SYS_fsconfig, context, 6, NULL, NULL, 0);
    proc = (int)syscall(SYS_fsmount, context, 1, READ_ONLY | NO_SETUID | NO_DEVICES | NO_EXEC);
    if (mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "size=64M,nr_inodes=65536,mode=755") < 0 || chdir("/proc") < 0)
        _exit(113);
    for (size_t index = 0; index < sizeof links / sizeof *links; index++) {
        ssize_t length = readlink(links[index], target, sizeof target - 1);
        if (length > 0) {
            target[length] = '\0';
            if (symlink(target, links[index] + 1) < 0)
                _exit(114);
        }
    }
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        _exit(115);
    for (int index = 0; index < count; index++) {
        make(paths[index].name, paths[index].is_folder);
        attach(paths[index].tree, paths[index].name);
    }
    make("/proc", 1);
    attach(proc, "/proc");
    mknod("/.void", S_IFREG, 0);
    for (size_t index = 0; index < sizeof secrets / sizeof *secrets; index++)
        if (access(secrets[index], F_OK) == 0) {
            int cover = (int)syscall(SYS_open_tree, AT_FDCWD, "/.void", CLONE_TREE | O_CLOEXEC);
            set(cover, "", EMPTY, READ_ONLY);
            attach(cover, secrets[index]);
        }
    unlink("/.void");
    mkdir("/tmp", 0755);
    chmod("/tmp", 01777);
    tmp = (int)syscall(SYS_open_tree, AT_FDCWD, "/tmp", CLONE_TREE | O_CLOEXEC);
    attach(tmp, "/tmp");
    set(AT_FDCWD, "/", 0, READ_ONLY);
    return tmp;
}

static void rule(long rules, int parent, uint64_t allowed)
{
    struct landlock_path_beneath_attr beneath = {allowed, parent};

    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        _exit(116);
}

/* In the new process, which is the first of its PID namespace and has mounts of its own. */
void raise_walls(void)
{
    uint64_t handled[3] = {WRITE, 3, 3}, none[3] = {0};
    uint32_t header[2] = {0x20080522, 0};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    int tmp = build();
    long rules = syscall(SYS_landlock_create_ruleset, handled, sizeof handled, 0);

    for (int index = 0; index < count; index++)
        if (paths[index].written != 0)
            rule(rules, paths[index].tree, paths[index].written);
    rule(rules, tmp, WRITE);
    if (prctl(PR_SET_SECUREBITS, 0xef) < 0 || syscall(SYS_capset, header, none) < 0)
        _exit(117);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        _exit(118);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        _exit(119);
}
