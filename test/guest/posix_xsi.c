/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSI's message queues, semaphores and shared memory: keys, rights, every operation and its errors; waiting; SEM_UNDO;
 * attachments over fork and exec; limits; who is killed leaves nothing but what he made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/posix_keeper.h"

#define KEY	0x1234
#define KILLED	40

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static struct {
	long type;
	char text[10000];
} message;

static bool fails(long result, int error)
{
	if (result == -1 && errno == error)
		return true;
	printf("# %ld, errno %d\n", result, errno);
	return false;
}

static void nothing(int number)
{
	(void)number;
}

static void keys(void)
{
	struct msqid_ds is;
	struct stat st;
	int id = -1, other, third = -1;
	pid_t pid;

	mkdir("/tmp", 01777);
	close(open("/tmp/key", O_CREAT | O_RDWR, 0600));
	stat("/tmp/key", &st);
	ok(ftok("/tmp/key", 1) != -1 && ftok("/tmp/key", 1) == ftok("/tmp/key", 257) &&
	   ftok("/tmp/key", 1) != ftok("/tmp/key", 2) &&
	   fails(ftok("/tmp/none", 1), ENOENT), "ftok");
	ok(fails(msgget(KEY, 0600), ENOENT) && (id = msgget(KEY, IPC_CREAT | 0640)) >= 0 && msgget(KEY, 0) == id &&
	   msgget(KEY, IPC_CREAT) == id && fails(msgget(KEY, IPC_CREAT | IPC_EXCL), EEXIST), "a key");
	other = msgget(IPC_PRIVATE, 0600);
	ok(other >= 0 && other != id && (third = msgget(IPC_PRIVATE, 0600)) != other, "private ones");
	ok(!msgctl(id, IPC_STAT, &is) && is.msg_perm.__key == KEY && is.msg_perm.mode == 0640 && is.msg_perm.uid == 0 &&
	   !is.msg_qnum && is.msg_qbytes == 16384 && is.msg_ctime && !is.msg_stime, "IPC_STAT");
	pid = fork();
	if (pid == 0)
		_exit(setgid(7) || setuid(500) || !fails(msgget(KEY, 0400), EACCES) || msgget(KEY, 0) != id ||
		      !fails(msgctl(id, IPC_STAT, &is), EACCES) || !fails(msgctl(id, IPC_RMID, NULL), EPERM) ||
		      !fails(msgrcv(id, &message, 1, 0, IPC_NOWAIT), EACCES));
	ok(finish(pid) == 0, "another user may not");
	is.msg_perm.uid = 500;
	is.msg_perm.mode = 0600;
	is.msg_qbytes = 100;
	ok(!msgctl(id, IPC_SET, &is), "IPC_SET");
	pid = fork();
	if (pid == 0) {
		is.msg_qbytes = 101;
		_exit(setgid(7) || setuid(500) || msgget(KEY, 0600) != id || !fails(msgctl(id, IPC_SET, &is), EPERM) ||
		      msgctl(id, IPC_RMID, NULL));
	}
	ok(finish(pid) == 0 && fails(msgctl(id, IPC_STAT, &is), EINVAL) && fails(msgget(KEY, 0), ENOENT),
	   "it was made another's, who has removed it");
	ok(msgget(KEY, IPC_CREAT | 0600) != id && fails(msgctl(id, IPC_RMID, NULL), EINVAL) &&
	   fails(msgctl(-1, IPC_RMID, NULL), EINVAL) && fails(msgctl(msgget(KEY, 0), 99, NULL), EINVAL),
	   "an old number is nobody's");
	msgctl(msgget(KEY, 0), IPC_RMID, NULL);
	msgctl(other, IPC_RMID, NULL);
	msgctl(third, IPC_RMID, NULL);
}

static bool sends(int id, long type, const char *text)
{
	message.type = type;
	strcpy(message.text, text);
	return !msgsnd(id, &message, strlen(text), IPC_NOWAIT);
}

static bool gets(int id, long type, int flags, const char *text)
{
	ssize_t got = msgrcv(id, &message, sizeof(message.text), type, flags | IPC_NOWAIT);

	return got == (ssize_t)strlen(text) && !memcmp(message.text, text, (size_t)got);
}

static void messages(void)
{
	int id = msgget(IPC_PRIVATE, 0600), count = 0;
	struct msqid_ds is;
	pid_t pid;

	ok(sends(id, 3, "three") && sends(id, 1, "one") && sends(id, 2, "two") && sends(id, 1, "one too") &&
	   sends(id, 9, ""), "messages of types");
	ok(!msgctl(id, IPC_STAT, &is) && is.msg_qnum == 5 && is.__msg_cbytes == 18 && is.msg_lspid == getpid() &&
	   is.msg_stime,
	   "are counted");
	ok(gets(id, 2, 0, "two") && message.type == 2 && gets(id, -2, 0, "one") && gets(id, -9, 0, "one too") &&
	   gets(id, 3, MSG_EXCEPT, "") && gets(id, 0, 0, "three") && fails(msgrcv(id, &message, 10, 0, IPC_NOWAIT), ENOMSG),
	   "one of a type, of the lowest types, of others, of any");
	sends(id, 1, "a long message");
	ok(fails(msgrcv(id, &message, 6, 0, IPC_NOWAIT), E2BIG) && msgrcv(id, &message, 6, 0, MSG_NOERROR) == 6 &&
	   !memcmp(message.text, "a long", 6) &&
	   fails(msgrcv(id, &message, 6, 0, IPC_NOWAIT), ENOMSG), "too long: E2BIG, or cut");
	message.type = 0;
	ok(fails(msgsnd(id, &message, 1, 0), EINVAL), "type 0: EINVAL");
	message.type = 1;
	ok(fails(msgsnd(id, &message, 8193, 0), EINVAL) && fails(msgsnd(id, &message, 100000, 0), EINVAL) &&
	   fails(msgsnd(77777, &message, 1, 0), EINVAL) && fails(msgrcv(id, &message, (size_t)-1, 0, 0), EINVAL), "EINVAL");
	while (!msgsnd(id, &message, 1000, IPC_NOWAIT))
		count++;
	ok(count == 16 && errno == EAGAIN, "full with %d: EAGAIN", count);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(msgrcv(id, &message, 1000, 0, 0) != 1000);
	}
	ok(!msgsnd(id, &message, 1000, 0) && finish(pid) == 0, "a sender waits");
	while (msgrcv(id, &message, 1000, 0, IPC_NOWAIT) > 0)
		;
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(!sends(id, 1, "no") || !sends(id, 5, "yes"));
	}
	ok(msgrcv(id, &message, 1000, 5, 0) == 3 && finish(pid) == 0 &&
	   gets(id, 0, 0, "no"), "a receiver waits for its type");
	signal(SIGALRM, nothing);		/* with SA_RESTART */
	ualarm(20000, 20000);
	ok(fails(msgrcv(id, &message, 1000, 0, 0), EINTR), "a signal ends it, always");
	ualarm(0, 0);
	pid = fork();
	if (pid == 0)
		_exit(!fails(msgrcv(id, &message, 1000, 0, 0), EIDRM));
	usleep(200000);
	ok(!msgctl(id, IPC_RMID, NULL) && finish(pid) == 0 && in_order(), "removed while one waits: EIDRM");
}

static int operate(int id, int number, int add, int flags)
{
	struct sembuf op = { .sem_num = (unsigned short)number, .sem_op = (short)add, .sem_flg = (short)flags };

	return semop(id, &op, 1);
}

static void semaphores(void)
{
	unsigned short values[3] = { 5, 0, 32767 }, seen[3] = { 0 };
	struct sembuf two[2] = { { 0, -3, IPC_NOWAIT }, { 1, -1, IPC_NOWAIT } };
	struct timespec brief = { .tv_nsec = 20000000 };
	int id = semget(KEY, 3, IPC_CREAT | 0600);
	struct semid_ds is;

	ok(id >= 0 && semget(KEY, 2, 0) == id && fails(semget(KEY, 4, 0), EINVAL) &&
	   fails(semget(IPC_PRIVATE, 0, 0600), EINVAL) &&
	   fails(semget(IPC_PRIVATE, 251, 0600), EINVAL) && fails(semget(IPC_PRIVATE, -1, 0600), EINVAL), "a set of three");
	ok(!semctl(id, 0, SETALL, (union semun){ .array = values }) &&
	   !semctl(id, 0, GETALL, (union semun){ .array = seen }) &&
	   !memcmp(values, seen, sizeof(seen)) && semctl(id, 2, GETVAL) == 32767, "SETALL, GETALL");
	ok(!semctl(id, 0, IPC_STAT, (union semun){ .buf = &is }) && is.sem_nsems == 3 && !is.sem_otime && is.sem_ctime &&
	   is.sem_perm.mode == 0600, "IPC_STAT");
	ok(fails(semop(id, two, 2), EAGAIN) && semctl(id, 0, GETVAL) == 5, "all or nothing");
	ok(!operate(id, 1, 1, 0) && !semop(id, two, 2) && semctl(id, 0, GETVAL) == 2 && !semctl(id, 1, GETVAL) &&
	   semctl(id, 1, GETPID) == getpid() && !operate(id, 1, 0, 0), "all");
	ok(fails(operate(id, 2, 1, 0), ERANGE) && fails(operate(id, 3, 1, 0), EFBIG) && fails(semop(id, two, 501), E2BIG) &&
	   fails(semop(id, two, 0), EINVAL) && fails(operate(99999, 0, 1, 0), EINVAL) &&
	   fails(operate(id, 0, 0, IPC_NOWAIT), EAGAIN),
	   "errors of semop");
	ok(fails(semctl(id, 3, GETVAL), EINVAL) && fails(semctl(id, -1, GETVAL), EINVAL) &&
	   fails(semctl(id, 0, SETVAL, (union semun){ .val = 32768 }), ERANGE) &&
	   fails(semctl(id, 0, SETVAL, (union semun){ .val = -1 }), ERANGE) &&
	   fails(semctl(id, 0, 99), EINVAL), "errors of semctl");
	struct sembuf wait = { 1, -1, 0 };
	ok(fails(semtimedop(id, &wait, 1, &brief), EAGAIN) && !semctl(id, 1, GETNCNT), "a time");
	semctl(id, 0, IPC_RMID);
}

static void semaphore_waits(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	pid_t down, zero, late;

	semctl(id, 1, SETVAL, (union semun){ .val = 1 });
	down = fork();
	if (down == 0)
		_exit(operate(id, 0, -2, 0) != 0);
	zero = fork();
	if (zero == 0)
		_exit(operate(id, 1, 0, 0) != 0);
	late = fork();
	if (late == 0)
		_exit(!fails(operate(id, 0, -100, 0), EIDRM));
	for (int i = 0; i < 500 && semctl(id, 0, GETNCNT) + semctl(id, 1, GETZCNT) < 3; i++)
		usleep(10000);
	ok(semctl(id, 0, GETNCNT) == 2 && semctl(id, 0, GETZCNT) == 0 && semctl(id, 1, GETZCNT) == 1 &&
	   semctl(id, 1, GETNCNT) == 0, "those who wait are counted");
	operate(id, 0, 1, 0);
	usleep(20000);
	ok(waitpid(down, NULL, WNOHANG) == 0 && !operate(id, 0, 1, 0) && finish(down) == 0 && !semctl(id, 0, GETVAL),
	   "one waits until there is enough");
	ok(!operate(id, 1, -1, 0) && finish(zero) == 0 && semctl(id, 1, GETZCNT) == 0, "one waits for zero");
	signal(SIGALRM, nothing);
	ualarm(20000, 20000);
	ok(fails(operate(id, 0, -1, 0), EINTR) && semctl(id, 0, GETNCNT) == 1, "a signal ends it");
	ualarm(0, 0);
	down = fork();
	if (down == 0)
		_exit(operate(id, 0, -1, 0));
	for (int i = 0; i < 500 && semctl(id, 0, GETNCNT) < 2; i++)
		usleep(10000);
	kill(down, SIGKILL);
	finish(down);
	ok(semctl(id, 0, GETNCNT) == 1, "who is killed waits no longer");
	ok(!semctl(id, 0, IPC_RMID) && finish(late) == 0 && in_order(), "removed: EIDRM");
}

static void undo(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	pid_t pid;

	semctl(id, 0, SETVAL, (union semun){ .val = 5 });
	pid = fork();
	if (pid == 0) {
		operate(id, 0, -3, SEM_UNDO);
		operate(id, 1, 1, SEM_UNDO);
		operate(id, 0, 1, SEM_UNDO);
		operate(id, 1, 4, 0);
		_exit(semctl(id, 0, GETVAL) != 3);
	}
	ok(finish(pid) == 0 && semctl(id, 0, GETVAL) == 5 && semctl(id, 1, GETVAL) == 4, "what a process did is undone");
	pid = fork();
	if (pid == 0) {
		operate(id, 0, -5, SEM_UNDO);
		for (;;)
			pause();
	}
	for (int i = 0; i < 500 && semctl(id, 0, GETVAL); i++)
		usleep(10000);
	kill(pid, SIGKILL);
	ok(!operate(id, 0, -5, 0) && finish(pid) == SIGKILL, "also when it is killed, and who waits goes on");
	pid = fork();
	if (pid == 0) {
		operate(id, 0, 3, SEM_UNDO);
		semctl(id, 0, SETVAL, (union semun){ .val = 1 });
		if (fork() == 0)
			_exit(0);
		_exit(finish(-1));
	}
	finish(pid);
	ok(semctl(id, 0, GETVAL) == 1, "SETVAL makes undo forget; a child has none");
	pid = fork();
	if (pid == 0) {
		operate(id, 0, 3, SEM_UNDO);
		execl("/bin/posix_xsi", "posix_xsi", "nothing", NULL);
		_exit(9);
	}
	finish(pid);
	ok(semctl(id, 0, GETVAL) == 1 && !semctl(id, 0, IPC_RMID) && in_order(), "exec keeps it until the end");
}

static void memory(void)
{
	int id = shmget(KEY, 10000, IPC_CREAT | 0600), one = -1;
	struct shmid_ds is;
	char *at, *second, *third;
	pid_t pid;

	ok(id >= 0 && shmget(KEY, 10000, 0) == id && shmget(KEY, 0, 0) == id && fails(shmget(KEY, 10001, 0), EINVAL) &&
	   fails(shmget(IPC_PRIVATE, 0, 0600), EINVAL) && fails(shmget(IPC_PRIVATE, 1UL << 40, 0600), EINVAL), "a segment");
	at = shmat(id, NULL, 0);
	second = shmat(id, NULL, SHM_RDONLY);
	ok(at != (char *)-1 && second != (char *)-1 && at != second && !at[0] && !at[9999], "attached twice, all zero");
	strcpy(at + 5000, "shared");
	ok(!strcmp(second + 5000, "shared"), "the same bytes");
	ok(!shmctl(id, IPC_STAT, &is) && is.shm_segsz == 10000 && is.shm_nattch == 2 && is.shm_cpid == getpid() &&
	   is.shm_lpid == getpid() && is.shm_atime && !is.shm_dtime, "IPC_STAT");
	pid = fork();
	if (pid == 0) {
		shmctl(id, IPC_STAT, &is);
		strcpy(at + 5000, "by the child");
		_exit(is.shm_nattch != 4 || shmdt(at));
	}
	ok(finish(pid) == 0 && !strcmp(second + 5000, "by the child") && !shmctl(id, IPC_STAT, &is) && is.shm_nattch == 2 &&
	   is.shm_dtime && is.shm_lpid == pid, "a child has them, until it ends");
	pid = fork();
	if (pid == 0) {
		second[0] = 1;
		_exit(1);
	}
	ok(finish(pid) == SIGSEGV, "what is read only cannot be written");
	third = (char *)((uintptr_t)at + (1UL << 30));
	ok(shmat(id, third, 0) == third && shmat(id, third + 4096 * 3 + 1, SHM_RND) == third + 4096 * 3, "at an address");
	ok(fails((long)shmat(id, third, 0), EINVAL) && fails((long)shmat(id, third + 1, 0), EINVAL) &&
	   fails((long)shmat(id, (void *)4096, 0), EINVAL) && fails((long)shmat(9999, NULL, 0), EINVAL) &&
	   shmat(id, third, SHM_REMAP) == third, "where something is: EINVAL");
	ok(fails(shmdt(at + 4096), EINVAL) && fails(shmdt(at + 1), EINVAL) && fails(shmdt(&id), EINVAL) && !shmdt(second) &&
	   fails(shmdt(second), EINVAL) && !shmdt(third) && !shmdt(third + 4096 * 3), "detached");
	pid = fork();
	if (pid == 0)
		_exit(setgid(7) || setuid(500) || !fails((long)shmat(id, NULL, SHM_RDONLY), EACCES) ||
		      !fails(shmctl(id, IPC_RMID, NULL), EPERM) || strcmp(at + 5000, "by the child"));
	ok(finish(pid) == 0, "another user has what is attached, and no more");
	ok(!shmctl(id, IPC_RMID, NULL) && fails(shmget(KEY, 0, 0), ENOENT) && !strcmp(at + 5000, "by the child") &&
	   !shmctl(id, IPC_STAT, &is) && is.shm_perm.mode & SHM_DEST, "removed, it is there while it is attached");
	ok(!shmdt(at) && fails(shmctl(id, IPC_STAT, &is), EINVAL) && in_order(), "and goes then");
	id = shmget(IPC_PRIVATE, 4096, 0600);
	at = shmat(id, NULL, 0);
	pid = fork();
	if (pid == 0) {
		execl("/bin/posix_xsi", "posix_xsi", "attached", NULL);
		_exit(9);
	}
	for (int i = 0; i < 500 && !(one = shmctl(id, IPC_STAT, &is)) && is.shm_nattch != 1; i++)
		usleep(10000);
	ok(!one && is.shm_nattch == 1 && !kill(pid, SIGKILL) && finish(pid) == SIGKILL, "exec detaches");
	shmdt(at);
	shmctl(id, IPC_RMID, NULL);
}

static void shared_mutex(void)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	struct {
		pthread_mutex_t mutex;
		volatile long count;
	} *shared = shmat(id, NULL, 0);
	pthread_mutexattr_t attributes;
	pid_t pid;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &attributes);
	pid = fork();
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&shared->mutex);
		long before = shared->count;
		if (i % 100 == 0)
			sched_yield();
		shared->count = before + 1;
		pthread_mutex_unlock(&shared->mutex);
	}
	if (pid == 0)
		_exit(0);
	ok(finish(pid) == 0 && shared->count == 4000, "a mutex in it");
	shmctl(id, IPC_RMID, NULL);
	shmdt(shared);
}

static void limits(void)
{
	int made = 0, id[200];
	unsigned short values[250];

	while (made < 200 && (id[made] = semget(IPC_PRIVATE, 250, 0600)) >= 0)
		made++;
	ok(made == 128 && errno == ENOSPC, "%d sets, then ENOSPC", made);
	for (int i = 0; i < 250; i++)
		operate(id[0], i, 1, SEM_UNDO);
	for (int i = 0; i < 6; i++)
		operate(id[1], i, 1, SEM_UNDO);
	ok(fails(operate(id[1], 6, 1, SEM_UNDO), ENOSPC) && !operate(id[0], 0, 1, SEM_UNDO) &&
	   !operate(id[0], 3, -1, SEM_UNDO) &&
	   !operate(id[1], 6, 1, SEM_UNDO), "256 undos: ENOSPC, until one is none");
	semctl(id[0], 0, GETALL, (union semun){ .array = values });
	ok(values[0] == 2 && values[3] == 0 && values[249] == 1, "values");
	while (made-- > 0)
		semctl(id[made], 0, IPC_RMID);
	ok(in_order(), "the keeper is in order");
}

static void killed(void)
{
	int sems = semget(IPC_PRIVATE, 2, 0600), msgs = msgget(IPC_PRIVATE, 0600);
	uint32_t free_before = 0;
	bool good = true;

	semctl(sems, 0, SETVAL, (union semun){ .val = 10 });
	for (int i = 0; i < KILLED; i++) {
		pid_t pid = fork();
		while (pid == 0) {
			int id = shmget(KEY, 8192, IPC_CREAT | 0600);
			char *at = shmat(id, NULL, 0);

			operate(sems, 0, -1, SEM_UNDO);
			at[4096] = 1;
			sends(msgs, 1 + rand() % 5, "a message");
			operate(sems, 0, -1, SEM_UNDO);
			msgrcv(msgs, &message, 100, -3, IPC_NOWAIT);
			operate(sems, 0, 2, SEM_UNDO);
			shmctl(id, IPC_RMID, NULL);
			shmdt(at);
		}
		usleep((useconds_t)(1000 + i * 517));
		kill(pid, SIGKILL);
		good &= finish(pid) == SIGKILL && in_order() && semctl(sems, 0, GETVAL) == 10;
		while (msgrcv(msgs, &message, 100, 0, IPC_NOWAIT) > 0)
			;
		shmctl(shmget(KEY, 0, 0), IPC_RMID, NULL);
		if (i == KILLED / 2)
			free_before = core_info->frames_free;
	}
	ok(good, "%d killed at work: the keeper in order, the semaphore as it was", KILLED);
	ok((int)(free_before - core_info->frames_free) < 64, "no frames are lost");
	semctl(sems, 0, IPC_RMID);
	msgctl(msgs, IPC_RMID, NULL);
	ok(in_order(), "the keeper is in order");
}

int main(int argc, char **argv)
{
	while (argc > 1 && !strcmp(argv[1], "attached"))
		pause();
	if (argc > 1)
		return 0;
	keys();
	messages();
	semaphores();
	semaphore_waits();
	undo();
	memory();
	shared_mutex();
	limits();
	killed();
	return tap_done();
}
