/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For test/e2e/files.py: answers each connection to port 80 with the whole of the file that it is given, from a mapping,
 * and the last of three with what that took: bytes sent from the file system's cache, and bytes of files copied.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "libos/net/flownet.h"
#include "libos/net/net.h"

static bool send_file(int to, const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	size_t sent = 0;
	ssize_t now = 1;

	if (fd < 0 || fstat(fd, &st))
		return false;
	const char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	for (; map != MAP_FAILED && sent < (size_t)st.st_size && now > 0; sent += (size_t)now)
		now = send(to, map + sent, (size_t)st.st_size - sent, 0);
	return map != MAP_FAILED && sent == (size_t)st.st_size && !munmap((void *)map, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
	struct stat st;
	char text[200];

	/* The mount comes first, as in most programs. */
	if (argc != 2 || stat(argv[1], &st))
		return 1;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 4))
		return 2;
	printf("lent: listening\n");
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		int to = accept(listener, NULL, NULL);

		if (i < 2 && !send_file(to, argv[1]))
			printf("lent: not sent\n");
		if (i == 2) {
			snprintf(text, sizeof(text), "referred %llu copied %llu packets copied %llu\n",
			    (unsigned long long)net_sent_by_reference, (unsigned long long)net_file_bytes_copied,
			    (unsigned long long)flownet_counts.sent_by_copy);
			send(to, text, strlen(text), 0);
		}
		close(to);
	}
	return 0;
}
