/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holds the machine's network address for programs that share it.
 *
 * Started with `net = own` beside programs with `net = share`: its TCP/IP gets the address (DHCP), publishes it to the
 * others, and answers what is nobody's port: ARP, echo requests, fragments, connections to closed ports. When a sharer
 * dies, nothing changes for the rest; that is why the holder is a program of its own that does nothing else.
 */
#include <stdio.h>
#include <time.h>
#include <sys/socket.h>

int main(void)
{
	const struct timespec day = { .tv_sec = 24 * 60 * 60 };

	/* The first socket starts the network. */
	if (socket(AF_INET, SOCK_DGRAM, 0) < 0) {
		perror("address: no network");
		return 1;
	}
	printf("address: ready\n");
	fflush(stdout);
	for (;;)
		nanosleep(&day, NULL);
}
