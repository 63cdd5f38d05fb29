/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark program: prints `name value unit` lines with the events of one operation (see doc/performance).
 */
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "apps/bench/bench.h"
#include "libos/core/spawn.h"

static struct bench_events events_now(void)
{
	const struct exo_cpu_info *cpu = info_cpu(0);

	return (struct bench_events){ cpu->switches, cpu->invalidations };
}

void bench_need(bool holds, const char *what)
{
	if (holds)
		return;
	core_print("bench: no %s\n", what);
	core_exit(1);
}

void bench_report(const char *name, uint64_t instructions)
{
	core_print("bench %s %lu insns\n", name, instructions);
}

void bench_begin(struct bench_run *run)
{
	run->before = events_now();
	run->began = bench_count();
}

void bench_end(struct bench_run *run, const char *name, uint64_t operations, uint64_t overhead)
{
	uint64_t count = bench_count() - run->began;
	struct bench_events now = events_now();

	core_print("bench %s %lu insns\n", name, (count + operations / 2) / operations - overhead);
	core_print("events %s switches %lu invalidations %lu operations %lu\n", name, now.switches - run->before.switches,
		   now.invalidations - run->before.invalidations, operations);
}

/* The counter began with the machine: what it shows behind the first line is what the line took. */
static int first_line(void)
{
	core_print("the first line\n");
	bench_report("boot_first_line", bench_count());
	return 0;
}

/* Take packets from port 7 for ever; every sixteenth is answered, so that the sender keeps pace. */
static int receive(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7) }, from;
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	char packet[64];

	if (sock < 0 || bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("bench: socket");
		return 1;
	}
	core_print("udp ready\n");
	for (unsigned count = 1;; count++) {
		socklen_t size = sizeof(from);
		ssize_t got = recvfrom(sock, packet, sizeof(packet), 0, (struct sockaddr *)&from, &size);
		if (got > 0 && count % 16 == 0)
			sendto(sock, packet, (size_t)got, 0, (struct sockaddr *)&from, size);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "peer"))
		bench_peer();
	if (argc == 2 && !strcmp(argv[1], "sleeper"))
		bench_sleeper();
	if (argc == 2 && !strcmp(argv[1], "watcher"))
		bench_watcher();
	if (argc == 3 && !strcmp(argv[1], "spin"))
		bench_spin((unsigned)atoi(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "udp"))
		return receive();
	if (argc == 2 && !strcmp(argv[1], "first-line"))
		return first_line();
	if (argc == 2 && !strcmp(argv[1], "disk")) {
		bench_disk();
		return 0;
	}
	if (argc != 1) {
		core_print("usage: bench [disk | first-line | udp | spin N]\n");
		return 2;
	}
	bench_memory();
	bench_switch();
	bench_caps();
	bench_kick();
	bench_code();
	bench_cow();
	bench_spawn();
	return 0;
}
