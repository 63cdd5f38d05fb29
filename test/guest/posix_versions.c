/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two programs that need not be linked with the same version of the libOS: `posix_versions talk OTHER` starts OTHER as its
 * child, once by exec and once by posix_spawn, and they exchange bytes through pipes, a file, a UNIX socket (with a
 * descriptor in a message) and TCP, signals both ways, a lock, and the end. `posix_versions try OTHER` says what exec says.
 * It uses only what the first version had. test/e2e/versions.py runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FROM = 20, TO, SOCKET, LISTENER, FILE_FD };	/* descriptors of the child */

extern char **environ;
static volatile sig_atomic_t seen;

static void notes(int number)
{
	seen = number;
}

static void need(int good, const char *what)
{
	if (good)
		return;
	printf("not so: %s (errno %d)\n", what, errno);
	fflush(stdout);
	_exit(1);
}

static void await(int number)
{
	sigset_t none;

	sigemptyset(&none);
	while (seen != number)
		sigsuspend(&none);
}

static void block(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(number, notes);
}

static void send_fd(int through, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec bytes = { "f", 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	need(sendmsg(through, &message, 0) == 1, "a descriptor in a message");
}

static int receive_fd(int through)
{
	char room[CMSG_SPACE(sizeof(int))], byte;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	int fd;

	need(recvmsg(through, &message, 0) == 1 && CMSG_FIRSTHDR(&message), "a descriptor comes");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* The child's part: what it hears in small letters it says in large ones, everywhere. */
static int child(void)
{
	struct sockaddr_in address;
	socklen_t bytes = sizeof(address);
	char line[600], byte;
	ssize_t got;
	int fd, status;
	pid_t pid;

	block(SIGUSR1);
	while ((got = read(FROM, line, sizeof(line))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			line[i] = (char)(line[i] - 'a' + 'A');
		need(write(TO, line, (size_t)got) == got, "written to a pipe");
	}
	fd = receive_fd(SOCKET);
	need(write(fd, "child", 5) == 5 && lseek(FILE_FD, 0, SEEK_CUR) == 11, "one offset");
	need(!getsockname(LISTENER, (struct sockaddr *)&address, &bytes), "the listener's name");
	fd = socket(AF_INET, SOCK_STREAM, 0);
	need(!connect(fd, (struct sockaddr *)&address, bytes) && write(fd, "tcp", 3) == 3 && read(fd, &byte, 1) == 1 && byte == '!',
	    "a connection");
	pid = fork();
	if (pid == 0)
		_exit(5);
	need(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5, "a child of its own");
	need(!kill(getppid(), SIGUSR2), "a signal to the parent");
	await(SIGUSR1);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	need(fcntl(FILE_FD, F_SETLK, &lock) == -1 && (errno == EACCES || errno == EAGAIN), "a lock of the parent's");
	need(fcntl(FILE_FD, F_SETLKW, &lock) == 0, "it is waited for");
	printf("child: all is well\n");
	fflush(stdout);
	kill(getpid(), SIGTERM);
	return 1;
}

static pid_t start(const char *path, int spawns, const int *fds)
{
	char *words[] = { "posix_versions", "child", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid = 0;

	if (spawns) {
		posix_spawn_file_actions_init(&actions);
		for (int i = 0; i < 5; i++)
			posix_spawn_file_actions_adddup2(&actions, fds[i], FROM + i);
		need(!posix_spawn(&pid, path, &actions, NULL, words, environ), "spawned");
		posix_spawn_file_actions_destroy(&actions);
		return pid;
	}
	pid = fork();
	if (pid)
		return pid;
	for (int i = 0; i < 5; i++)
		dup2(fds[i], FROM + i);
	execv(path, words);
	need(0, "exec");
	return 0;
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static void talk(const char *path, int spawns)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int to[2], from[2], pair[2], listener = socket(AF_INET, SOCK_STREAM, 0), fd, status;
	char line[600], back[600];
	ssize_t got, all = 0;
	pid_t pid;

	seen = 0;
	block(SIGUSR2);
	memset(line, 'x', sizeof(line));
	fcntl((fd = open("/tmp/shared", O_RDWR | O_CREAT | O_TRUNC, 0600)), F_SETFD, FD_CLOEXEC);
	need(fd >= 0 && !pipe(to) && !pipe(from) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "pipes and sockets");
	need(!bind(listener, (struct sockaddr *)&address, sizeof(address)) && !listen(listener, 1), "a listener");
	fcntl(to[1], F_SETFD, FD_CLOEXEC);
	need(write(fd, "parent", 6) == 6 && !fcntl(fd, F_SETLK, &lock), "a file and its lock");
	pid = start(path, spawns, (int[]){ to[0], from[1], pair[1], listener, fd });
	close_all((int[]){ to[0], from[1], pair[1] }, 3);
	need(write(to[1], line, sizeof(line)) == (ssize_t)sizeof(line) && !close(to[1]), "to the child");
	while ((got = read(from[0], back + all, sizeof(back) - (size_t)all)) > 0 && (all += got) < (ssize_t)sizeof(back))
		;
	need(all == (ssize_t)sizeof(back) && back[0] == 'X' && back[599] == 'X', "from the child");
	send_fd(pair[0], fd);
	int stream = accept(listener, NULL, NULL);
	need(stream >= 0 && read(stream, back, 3) == 3 && !memcmp(back, "tcp", 3) && write(stream, "!", 1) == 1, "accepted");
	await(SIGUSR2);
	need(!kill(pid, SIGUSR1), "a signal to the child");
	usleep(20000);
	lock.l_type = F_UNLCK;
	need(!fcntl(fd, F_SETLK, &lock), "unlocked");
	need(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "its end");
	need(pread(fd, back, 11, 0) == 11 && !memcmp(back, "parentchild", 11), "what both wrote");
	close_all((int[]){ from[0], pair[0], listener, stream, fd }, 5);
	printf("parent: all is well\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "child"))
		return child();
	if (argc == 3 && !strcmp(argv[1], "talk")) {
		talk(argv[2], 0);
		talk(argv[2], 1);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "try")) {
		execl(argv[2], argv[2], "child", (char *)NULL);
		printf("exec: %s\n", errno == EINVAL ? "EINVAL" : strerror(errno));
		return 0;
	}
	return 2;
}
