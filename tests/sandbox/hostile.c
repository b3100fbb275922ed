/* A service that wants out. Each attempt is one line of its report: its name and whether it succeeded. It is
 * told where everything is, as an attacker might have found out: nothing depends on what it cannot know.
 *
 *     hostile GIVEN OWN     GIVEN is a folder with one file for each fact; OWN is its own, for its report
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/keyctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

static const char *given;
static const char *own;

/* A fact: the content of a file of GIVEN. */
static const char *fact(const char *name)
{
	static char texts[8][512];
	static int next;
	char *text = texts[next++ % 8];
	char path[512];
	snprintf(path, sizeof path, "%s/%s", given, name);
	memset(text, 0, sizeof texts[0]);
	int fd = open(path, O_RDONLY);
	if (fd >= 0) {
		if (read(fd, text, sizeof texts[0] - 1) < 0)
			text[0] = 0;
		close(fd);
	}
	return text;
}

static int number(const char *name) { return atoi(fact(name)); }

static const char *in(const char *folder, const char *name)
{
	static char paths[4][1024];
	static int next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", fact(folder), name);
	return path;
}

/* Whether the file holds the word that only the victim knows. */
static int reads(const char *path)
{
	char text[4096] = "";
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t got = read(fd, text, sizeof text - 1);
	close(fd);
	return got > 0 && memmem(text, got, "MARMALADE", 9) != NULL;
}

static int writes(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | flags, 0600);
	if (fd < 0)
		return 0;
	int done = write(fd, "gotcha\n", 7) == 7;
	close(fd);
	return done;
}

/* In a process of its own, so that what it does to itself harms no later attempt. */
static int apart(int (*attempt)(void))
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(attempt() ? 42 : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 42;
}

static int write_outside(void) { return writes(in("victim", "planted"), O_CREAT); }
static int write_over(void) { return writes(in("victim", "document"), O_APPEND); }
static int remove_a_file(void) { return unlink(in("victim", "doomed")) == 0; }
static int rename_a_file(void) { return rename(in("victim", "moved"), in("victim", "gone")) == 0; }
static int chmod_a_file(void) { return chmod(in("victim", "document"), 0666) == 0; }
static int read_a_secret(void) { return reads(in("victim", "secret")); }
static int read_a_configuration(void) { return reads(fact("configuration")); }
static int read_by_dots(void)
{
	char path[1200];
	snprintf(path, sizeof path, "../../../../../../../../../..%s", in("victim", "secret"));
	return reads(path);
}
static int read_by_another_root(void)
{
	char path[1200];
	snprintf(path, sizeof path, "/proc/%d/root%s", number("pid"), in("victim", "secret"));
	return reads(path);
}
static int link_a_secret(void)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/linked", own);
	return link(in("victim", "secret"), path) == 0 && reads(path);
}
static int write_a_log(void) { return writes(fact("log"), O_APPEND); }
static int write_a_state(void) { return writes(in("state", "planted"), O_CREAT); }
static int write_a_service(void) { return writes(in("services", "planted.txt"), O_CREAT); }
static int see_a_process(void)
{
	char path[64], text[4096] = "";
	snprintf(path, sizeof path, "/proc/%d/cmdline", number("pid"));
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t got = read(fd, text, sizeof text);
	close(fd);
	return got > 0 && memmem(text, got, "victim-waits", 12) != NULL;
}
static int read_an_environment(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/environ", number("pid"));
	return reads(path);
}
static int trace(void)
{
	int pid = number("pid"), status;
	if (ptrace(PTRACE_ATTACH, pid, 0, 0) != 0)
		return 0;
	waitpid(pid, &status, __WALL);
	return ptrace(PTRACE_DETACH, pid, 0, 0) == 0;
}
static int read_a_memory(void)
{
	unsigned long address = strtoul(fact("address"), NULL, 16);
	char word[8];
	struct iovec here = {word, sizeof word}, there = {(void *)address, sizeof word};
	return process_vm_readv(number("pid"), &here, 1, &there, 1, 0) == (ssize_t)sizeof word;
}
/* Only what the test started is signalled, by a signal that does no harm; in a view of its own the same number
 * may be this very process, or nobody. */
static int signal_it(int pid) { return pid > 1 && pid != getpid() && kill(pid, SIGCONT) == 0; }
static int signal_a_service(void) { return signal_it(number("pid")); }
static int signal_the_supervisor(void) { return signal_it(number("supervisor")); }
static int limit_a_service(void)
{
	struct rlimit limit;
	int pid = number("pid");
	return prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0 && prlimit(pid, RLIMIT_NOFILE, &limit, NULL) == 0;
}
static int command_the_supervisor(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", fact("control"));
	int done = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return done;
}
static int connect_abstract(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *name = fact("abstract");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(address.sun_path + 1, name, strlen(name));
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
	int done = fd >= 0 && connect(fd, (struct sockaddr *)&address, length) == 0;
	close(fd);
	return done;
}
static int reach(int kind)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	address.sin_port = htons(number(kind == SOCK_STREAM ? "tcp" : "udp"));
	int fd = socket(AF_INET, kind, 0);
	int done = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && write(fd, "out", 3) == 3;
	close(fd);
	return done;
}
static int connect_out(void) { return reach(SOCK_STREAM); }
static int send_out(void) { return reach(SOCK_DGRAM); }
static int connect_fast(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	address.sin_port = htons(number("tcp"));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int done = fd >= 0 && sendto(fd, "out", 3, MSG_FASTOPEN, (struct sockaddr *)&address, sizeof address) == 3;
	close(fd);
	return done;
}
static int listen_to_all(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int done = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
	close(fd);
	return done;
}
static int fill_tmp(void)
{
	static char block[1 << 20];
	char path[64];
	snprintf(path, sizeof path, "/tmp/filled-%d", getpid());
	int fd = open(path, O_WRONLY | O_CREAT, 0600), whole = 0;
	while (fd >= 0 && whole < 80 && write(fd, block, sizeof block) == (ssize_t)sizeof block)
		whole++;
	close(fd);
	unlink(path);
	return whole == 80;
}
static int read_a_tmp(void) { return reads(fact("tmp")); }
static int mount_in_a_namespace(void)
{
	int both = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
	return both && mount("none", "/mnt", "tmpfs", 0, NULL) == 0;
}
static int clone_a_user_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}
static int clone3_a_user_namespace(void)
{
	uint64_t arguments[8] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0};
	long pid = syscall(SYS_clone3, arguments, sizeof arguments);
	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}
static int gain_a_user(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		execl(fact("setuid"), "setuid", "who", NULL);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42;
}
static int share_a_key(void)
{
	return syscall(SYS_add_key, "user", "hostile", "x", 1, KEY_SPEC_USER_KEYRING) > 0;
}
static int share_memory(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	return id >= 0 && shmctl(id, IPC_RMID, NULL) == 0;
}

static int leave_a_setuid(void)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/left", own);
	int fd = open(path, O_WRONLY | O_CREAT, 0755);
	int done = fd >= 0 && fchmod(fd, 04755) == 0;
	close(fd);
	unlink(path);
	return done;
}
static int make_a_setuid(void)
{
	char path[1024];
	struct stat about;
	snprintf(path, sizeof path, "%s/made", own);
	int fd = open(path, O_WRONLY | O_CREAT, 04755);
	int done = fd >= 0 && fstat(fd, &about) == 0 && (about.st_mode & S_ISUID);
	close(fd);
	unlink(path);
	return done;
}

/* As root only. */
static int change_a_device(void) { return chmod("/dev/null", 0666) == 0; }
static int mount_it(void) { return mount("none", "/mnt", "tmpfs", 0, NULL) == 0 && umount("/mnt") == 0; }
static int remount_root(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT, NULL) == 0;
}
static int remount_it(void) { return unshare(CLONE_NEWNS) == 0 && remount_root(); }
static int change_the_root(void) { return chroot("/usr") == 0; }
static int open_a_disk(void)
{
	struct stat about;
	char path[1024];
	snprintf(path, sizeof path, "%s/disk", own);
	int done = stat("/", &about) == 0 && mknod(path, S_IFBLK | 0600, about.st_dev) == 0;
	int fd = done ? open(path, O_RDONLY) : -1;
	done = fd >= 0;
	close(fd);
	unlink(path);
	return done;
}
static int open_the_memory(void)
{
	int fd = open("/dev/mem", O_RDONLY);
	int done = fd >= 0;
	close(fd);
	return done;
}
static int set_a_sysctl(void)
{
	char text[128] = "";
	int fd = open("/proc/sys/kernel/domainname", O_RDWR);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof text) : -1;
	int done = got > 0 && pwrite(fd, text, got, 0) == got;
	close(fd);
	return done;
}
static int make_a_cgroup(void)
{
	const char *path = in("cgroups", "hostile");
	return mkdir(path, 0755) == 0 && rmdir(path) == 0;
}
static int name_the_host(void)
{
	char name[256] = "";
	return gethostname(name, sizeof name - 1) == 0 && sethostname(name, strlen(name)) == 0;
}
static int read_the_shadow(void)
{
	int fd = open("/etc/shadow", O_RDONLY);
	char byte;
	int done = fd >= 0 && read(fd, &byte, 1) == 1;
	close(fd);
	return done;
}
static int list_a_home(void)
{
	DIR *folder = opendir("/root");
	if (folder)
		closedir(folder);
	return folder != NULL;
}

static const struct {
	const char *name;
	int (*attempt)(void);
	int needs_root;
} attempts[] = {
#define ATTEMPT(name) {#name, name, 0}
#define OF_ROOT(name) {#name, name, 1}
	ATTEMPT(write_outside), ATTEMPT(write_over), ATTEMPT(remove_a_file), ATTEMPT(rename_a_file),
	ATTEMPT(chmod_a_file), ATTEMPT(read_a_secret), ATTEMPT(read_a_configuration), ATTEMPT(read_by_dots),
	ATTEMPT(read_by_another_root), ATTEMPT(link_a_secret), ATTEMPT(write_a_log), ATTEMPT(write_a_state),
	ATTEMPT(write_a_service), ATTEMPT(see_a_process), ATTEMPT(read_an_environment), ATTEMPT(trace),
	ATTEMPT(read_a_memory), ATTEMPT(signal_a_service), ATTEMPT(signal_the_supervisor), ATTEMPT(limit_a_service),
	ATTEMPT(command_the_supervisor), ATTEMPT(connect_abstract), ATTEMPT(connect_out), ATTEMPT(send_out),
	ATTEMPT(connect_fast), ATTEMPT(listen_to_all), ATTEMPT(fill_tmp), ATTEMPT(read_a_tmp),
	ATTEMPT(mount_in_a_namespace), ATTEMPT(clone_a_user_namespace), ATTEMPT(clone3_a_user_namespace),
	ATTEMPT(gain_a_user), ATTEMPT(share_a_key), ATTEMPT(share_memory),
	ATTEMPT(leave_a_setuid), ATTEMPT(make_a_setuid), OF_ROOT(change_a_device),
	OF_ROOT(mount_it), OF_ROOT(remount_it), OF_ROOT(change_the_root), OF_ROOT(open_a_disk),
	OF_ROOT(open_the_memory), OF_ROOT(set_a_sysctl), OF_ROOT(make_a_cgroup), OF_ROOT(name_the_host),
	OF_ROOT(read_the_shadow), OF_ROOT(list_a_home),
};

int main(int count, char **words)
{
	if (count == 2 && strcmp(words[1], "who") == 0)
		return geteuid() == getuid() ? 0 : 42;
	if (count < 3)
		return 2;
	given = words[1];
	own = words[2];
	char path[1024], whole[1024];
	snprintf(path, sizeof path, "%s/report.part", own);
	snprintf(whole, sizeof whole, "%s/report", own);
	FILE *report = fopen(path, "w");
	if (!report) {
		perror(path);
		return 1;
	}
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		if (attempts[i].needs_root && getuid() != 0)
			continue;
		int done = apart(attempts[i].attempt);
		fprintf(report, "%s %d\n", attempts[i].name, done);
		fflush(report);
	}
	fclose(report);
	return rename(path, whole) == 0 ? 0 : 1;
}
