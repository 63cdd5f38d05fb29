/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server around poll() and sockets that do not block, for test/e2e/dataplane.py: sends back what comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#define CLIENTS	32

static struct pollfd fds[1 + CLIENTS];
static char left[1 + CLIENTS][2048];
static ssize_t have[1 + CLIENTS];

static void serve(unsigned i)
{
	ssize_t sent;

	if (!have[i] && (fds[i].revents & (POLLIN | POLLHUP | POLLERR))) {
		have[i] = recv(fds[i].fd, left[i], sizeof(left[i]), 0);
		if (have[i] == 0 || (have[i] < 0 && errno != EAGAIN)) {
			close(fds[i].fd);
			fds[i].fd = -1;
			have[i] = 0;
			return;
		}
		if (have[i] < 0)
			have[i] = 0;
	}
	if (have[i]) {
		sent = send(fds[i].fd, left[i], (size_t)have[i], 0);
		if (sent > 0) {
			have[i] -= sent;
			memmove(left[i], left[i] + sent, (size_t)have[i]);
		}
	}
	fds[i].events = have[i] ? POLLOUT : POLLIN;
}

int main(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = lwip_htons(80) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one;

	fds[0] = (struct pollfd){ listener, POLLIN, 0 };
	for (unsigned i = 1; i <= CLIENTS; i++)
		fds[i].fd = -1;
	if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 8) ||
	    fcntl(listener, F_SETFL, O_NONBLOCK)) {
		perror("listen");
		return 1;
	}
	printf("polling\n");
	fflush(stdout);
	while (poll(fds, 1 + CLIENTS, -1) > 0) {
		for (unsigned i = 1; i <= CLIENTS; i++) {
			if (fds[i].fd >= 0 && fds[i].revents)
				serve(i);
		}
		for (unsigned i = 1; fds[0].revents && i <= CLIENTS; i++) {
			if (fds[i].fd >= 0 || (one = accept(listener, NULL, NULL)) < 0)
				continue;
			fcntl(one, F_SETFL, O_NONBLOCK);
			fds[i] = (struct pollfd){ one, POLLIN, 0 };
		}
	}
	return 0;
}
