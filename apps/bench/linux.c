/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of bench.c, processes.c and fs_speed.c as near as a Linux program comes to them, for make bench-linux.
 *
 * It runs in a Linux guest under the same emulator with -icount, where the time stamp counter counts instructions. Each
 * figure is the median of BATCHES batches after one that is thrown away, so what is made at first use is not counted.
 * Names are those of the other side. What cannot be had here is not printed: a thread switch alone, a frame by number.
 * With an argument, a path on a disk's file system: a short file there, too, beside the other side's on cofs.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define BATCHES	5
#define PAGE	4096
#define MANY	100		/* pages of the figures of that number */
#define FRESH	2000		/* pages touched in a batch */

static char *area;		/* MANY pages, dirty */
static int there[2], back[2], stream;
static volatile unsigned handled;
static enum { STEP_OVER, UNPROTECT, APPEL1, APPEL2 } on_fault;
static char tiny[] = "/tmp/tiny";

static uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

static void need(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static int by_value(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
	return a < b ? -1 : a > b;
}

/* The median batch; `batch` makes so many operations and tells what they took. */
static void figure(const char *name, uint64_t (*batch)(unsigned), unsigned operations)
{
	uint64_t took[BATCHES];

	batch(operations);
	for (unsigned i = 0; i < BATCHES; i++)
		took[i] = batch(operations);
	qsort(took, BATCHES, sizeof(took[0]), by_value);
	printf("bench %s %lu insns\n", name, (unsigned long)((took[BATCHES / 2] + operations / 2) / operations));
	fflush(stdout);
}

#define BATCH(name, what)						\
	static uint64_t name(unsigned operations)			\
	{								\
		uint64_t began = count();				\
		for (unsigned i = 0; i < operations; i++) {		\
			what;						\
		}							\
		return count() - began;					\
	}

static void protect(unsigned page, unsigned pages, int how)
{
	need(!mprotect(area + page * PAGE, pages * PAGE, how), "mprotect");
}

/* Skips the store of wild_store(), or mends what forbade it. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	char *page = (char *)((uintptr_t)info->si_addr & -(uintptr_t)PAGE);

	handled += number != 0;
	if (on_fault == STEP_OVER) {
		at->uc_mcontext.gregs[REG_RIP] += 3;
		return;
	}
	if (on_fault == APPEL1)
		protect((page - area) / PAGE == 0, 1, PROT_READ);
	need(!mprotect(page, PAGE, PROT_READ | PROT_WRITE), "mprotect");
}

static void on_plain_signal(int number)
{
	handled += number != 0;
}

/* A store of three bytes of code, so that a handler knows how to step over it. */
static void wild_store(char *where)
{
	__asm__ volatile("movb $1, (%%rax)" :: "a"(where) : "memory");
}

BATCH(null_call, syscall(SYS_getppid))
BATCH(trap, wild_store(area))
BATCH(signal_self, kill(getpid(), SIGUSR1))

static uint64_t trap_fix_resume(unsigned operations)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < operations; i++) {
		protect(0, 1, PROT_READ);
		uint64_t began = count();
		wild_store(area);
		sum += count() - began;
	}
	return sum;
}

/* One direction of protecting so many dirty pages. */
static uint64_t protecting(unsigned operations, unsigned pages, bool taking)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < operations; i++) {
		uint64_t first = count();
		protect(0, pages, PROT_READ);
		uint64_t second = count();
		protect(0, pages, PROT_READ | PROT_WRITE);
		sum += taking ? second - first : count() - second;
		for (unsigned page = 0; page < pages; page++)
			area[page * PAGE] = 1;
	}
	return sum;
}

static uint64_t take_1(unsigned operations) { return protecting(operations, 1, true); }
static uint64_t give_1(unsigned operations) { return protecting(operations, 1, false); }
static uint64_t take_100(unsigned operations) { return protecting(operations, MANY, true); }
static uint64_t give_100(unsigned operations) { return protecting(operations, MANY, false); }

static uint64_t appel1(unsigned operations)
{
	on_fault = APPEL1;
	protect(0, 1, PROT_READ);
	uint64_t began = count();
	for (unsigned i = 0; i < operations; i++)
		wild_store(area + i % 2 * PAGE);
	began = count() - began;
	protect(0, 2, PROT_READ | PROT_WRITE);
	return began;
}

static uint64_t appel2(unsigned operations)
{
	uint64_t began = count();

	on_fault = APPEL2;
	for (unsigned i = 0; i < operations; i++) {
		if (i % MANY == 0)
			protect(0, MANY, PROT_READ);
		wild_store(area + i % MANY * PAGE);
	}
	return count() - began;
}

static uint64_t page_fault_fresh(unsigned operations)
{
	char *fresh = mmap(NULL, (size_t)operations * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(fresh != MAP_FAILED, "mmap");
	uint64_t began = count();
	for (unsigned i = 0; i < operations; i++)
		fresh[(size_t)i * PAGE] = 1;
	began = count() - began;
	munmap(fresh, (size_t)operations * PAGE);
	return began;
}

static uint64_t dirty_query(unsigned operations)
{
	int file = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry, began = count();

	for (unsigned i = 0; i < operations; i++)
		need(pread(file, &entry, 8, (uintptr_t)area / PAGE * 8) == 8, "pagemap");
	began = count() - began;
	close(file);
	return began;
}

static uint64_t fork_exit_wait(unsigned operations)
{
	uint64_t began = count();

	for (unsigned i = 0; i < operations; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		need(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	}
	return count() - began;
}

static uint64_t fork_exec_wait(unsigned operations)
{
	uint64_t began = count();
	int status;

	for (unsigned i = 0; i < operations; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			execl(tiny, tiny, (char *)NULL);
			_exit(9);
		}
		need(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "fork and exec");
	}
	return count() - began;
}

static uint64_t process_cow_fault(unsigned operations)
{
	uint64_t *took = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), found;
	pid_t pid;

	need(took != MAP_FAILED, "mmap");
	*took = 0;
	for (unsigned done = 0; done < operations; done += MANY - 1) {
		pid = fork();
		if (pid == 0) {
			area[0]++;
			uint64_t began = count();
			for (unsigned i = 1; i < MANY; i++)
				area[i * PAGE]++;
			*took += count() - began;
			_exit(0);
		}
		need(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
		memset(area, 1, MANY * PAGE);
	}
	found = *took;
	munmap(took, PAGE);
	return found;
}

static void *nothing(void *unused)
{
	return unused;
}

static uint64_t pthread_create_join(unsigned operations)
{
	uint64_t began = count();
	pthread_t thread;

	for (unsigned i = 0; i < operations; i++)
		need(!pthread_create(&thread, NULL, nothing, NULL) && !pthread_join(thread, NULL), "pthread_create");
	return count() - began;
}

static uint64_t round_trips(unsigned operations, int out, int in)
{
	uint64_t began = count();
	char byte = 0;

	for (unsigned i = 0; i < operations; i++)
		need(write(out, &byte, 1) == 1 && read(in, &byte, 1) == 1, "a byte there and back");
	return count() - began;
}

static uint64_t pipe_rtt(unsigned operations) { return round_trips(operations, there[1], back[0]); }
static uint64_t tcp_rtt(unsigned operations) { return round_trips(operations, stream, stream); }

static uint64_t stat_path(unsigned operations)
{
	struct stat state;
	uint64_t began = count();

	for (unsigned i = 0; i < operations; i++)
		need(!stat("/tmp/one/two/three/123", &state), "stat");
	return count() - began;
}

BATCH(open_close, close(open(tiny, O_RDONLY)))

static const char *short_path = "/tmp/short";

static uint64_t short_file(unsigned operations)
{
	uint64_t began = count();

	for (unsigned i = 0; i < operations; i++) {
		int file = open(short_path, O_CREAT | O_EXCL | O_WRONLY, 0644);
		need(file >= 0 && write(file, area, 4096) == 4096 && !close(file) && !unlink(short_path), "short file");
	}
	return count() - began;
}

/* A child that sends back each byte. */
static void echo(int in, int out, int close_one, int close_other)
{
	char byte;

	if (fork() != 0)
		return;
	close(close_one);
	close(close_other);
	while (read(in, &byte, 1) == 1 && write(out, &byte, 1) == 1)
		;
	_exit(0);
}

static void connect_stream(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(4000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int door = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	need(!bind(door, (struct sockaddr *)&at, sizeof(at)) && !listen(door, 1), "listen");
	stream = socket(AF_INET, SOCK_STREAM, 0);
	need(!connect(stream, (struct sockaddr *)&at, sizeof(at)), "connect");
	int other = accept(door, NULL, NULL);
	need(other >= 0, "accept");
	setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	echo(other, other, stream, door);
	close(other);
}

/* The smallest program, so that what exec costs is not what a C library costs: header, one segment, exit(0). */
static void write_tiny(void)
{
	static const unsigned char image[] = {
		0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0,
		0x78, 0, 0x40, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,
		0, 0, 0x40, 0, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
		0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05,	/* xor edi, edi; mov eax, 60; syscall */
	};
	int file = open(tiny, O_CREAT | O_WRONLY, 0755);

	need(file >= 0 && write(file, image, sizeof(image)) == sizeof(image) && !close(file), tiny);
}

/* As many names as the other side's figure has. */
static void make_names(void)
{
	char name[64];

	need(!mkdir("/tmp/one", 0755) && !mkdir("/tmp/one/two", 0755) && !mkdir("/tmp/one/two/three", 0755), "mkdir");
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "/tmp/one/two/three/%u", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
}

static void memory_figures(void)
{
	struct sigaction fault = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	area = mmap(NULL, MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(area != MAP_FAILED && !sigaction(SIGSEGV, &fault, NULL) && !sigaction(SIGUSR1, &fault, NULL), "start");
	memset(area, 1, MANY * PAGE);
	figure("null_call", null_call, 1000);
	figure("prot1", take_1, 200);
	figure("unprot1", give_1, 200);
	figure("prot100", take_100, 50);
	figure("unprot100", give_100, 50);
	figure("dirty_query", dirty_query, 200);
	protect(0, 1, PROT_READ);
	figure("trap", trap, 200);
	protect(0, 1, PROT_READ | PROT_WRITE);
	on_fault = UNPROTECT;
	figure("trap_fix_resume", trap_fix_resume, 200);
	figure("appel1", appel1, 200);
	figure("appel2", appel2, 5 * MANY);
	on_fault = UNPROTECT;
	figure("page_fault_fresh", page_fault_fresh, FRESH);
	on_fault = STEP_OVER;
	signal(SIGUSR1, on_plain_signal);
	figure("signal_self", signal_self, 200);
}

int main(int words, char **word)
{
	memory_figures();
	write_tiny();
	make_names();
	figure("fork_exit_wait", fork_exit_wait, 20);
	figure("fork_exec_wait", fork_exec_wait, 20);
	figure("process_cow_fault", process_cow_fault, MANY - 1);
	figure("pthread_create_join", pthread_create_join, 100);
	figure("stat", stat_path, 200);
	figure("open_close", open_close, 200);
	figure("short_file_memory", short_file, 200);
	if (words > 1) {
		short_path = word[1];
		figure("short_file_cofs", short_file, 200);
	}
	need(!pipe(there) && !pipe(back), "pipe");
	echo(there[0], back[1], there[1], back[0]);
	figure("pipe_rtt", pipe_rtt, 200);
	connect_stream();
	figure("tcp_rtt", tcp_rtt, 200);
	printf("bench done\n");
	return 0;
}
