/* SPDX-License-Identifier: BSD-2-Clause */
/* @NAME@: a server by events. It sends back what it gets, line by line, in capital letters. */
#include <string.h>
#include "libos/conn/conn.h"
#include "libos/core/core.h"

#define PORT	7

/* The bytes are gone when this returns; those that we do not use are shown again: with what comes next, or by conn_resume. */
static size_t received(struct conn *conn, const char *data, size_t bytes)
{
	char line[256];
	size_t used = 0, length, sent;
	const char *end;

	while ((end = memchr(data + used, '\n', bytes - used))) {
		for (length = 0; length < sizeof(line) && data + used + length <= end; length++) {
			char c = data[used + length];
			line[length] = c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
		}
		sent = conn_send(conn, line, length, 0);
		used += sent;
		if (sent < length)
			return used;			/* `room` is called when the rest can be sent */
	}
	return bytes - used < sizeof(line) ? used : bytes;	/* a line is awaited; one that is too long is dropped */
}

static const struct conn_calls calls = { .received = received, .room = conn_resume };

int main(void)
{
	int error = conn_listen(PORT, &calls);

	if (error) {
		core_line("@NAME@: port %d: error %d\n", PORT, error);
		return 1;
	}
	core_line("@NAME@: ready\n");
	return conn_run();
}
