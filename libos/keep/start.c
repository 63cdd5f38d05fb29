/* SPDX-License-Identifier: BSD-2-Clause */
/* The keeper's parts in their order. A program that has no use for a part does not link it. */
#include "libos/keep/private.h"

#pragma weak keep_open_start
#pragma weak keep_files_start
#pragma weak keep_pipe_start
#pragma weak keep_poll_start
#pragma weak keep_epoll_start
#pragma weak keep_signal_start
#pragma weak keep_clock_start
#pragma weak keep_priority_start
#pragma weak keep_eventfd_start
#pragma weak keep_signalfd_start
#pragma weak keep_tty_start
#pragma weak keep_local_start
#pragma weak keep_net_start
#pragma weak keep_object_start
#pragma weak keep_mqueue_start
#pragma weak keep_xsi_start
#pragma weak keep_check_start

/* Until there are descriptors: everything goes to the console. */
static int64_t to_console(struct keep_request *request)
{
	uint64_t bytes = request->word[1] < WIRE_BUFFER ? request->word[1] : WIRE_BUFFER;

	core_write(request->data, bytes);
	return (int64_t)bytes;
}

void keep_start(void)
{
	static void (*const parts[])(void) = { keep_process_start, keep_serve_start, keep_wait_start, keep_exec_start,
		keep_spawn_start, keep_fork_start, keep_cpus_start, keep_open_start, keep_files_start, keep_pipe_start,
			keep_poll_start, keep_epoll_start, keep_signal_start, keep_priority_start, keep_clock_start,
			keep_eventfd_start,
		keep_signalfd_start,
		keep_tty_start, keep_local_start, keep_net_start, keep_object_start,
		keep_mqueue_start, keep_xsi_start, keep_check_start };

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i])
			parts[i]();
	if (!keep_open_start)
		keep_serve(REQUEST_WRITE, to_console);
}
