/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two programs of a configuration that find each other through the directory, for test/e2e/meet.py. Not a test by
 * itself.
 *
 * Usage: meet serve [MILLISECONDS] | meet ask LABEL ... [leave]
 * The first answers with its badge, until it ends; `ask` prints for each label what came of it. With `leave` it waits
 * until the last label is withdrawn, and calls once more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/directory.h"
#include "libos/core/rpc.h"
#include "libos/core/thread.h"

#define MS	(CORE_SECOND / 1000)

static struct rpc_session sessions[4];

#pragma GCC push_options
#pragma GCC target("general-regs-only")
static int64_t badge(struct rpc_request *request)
{
	request->bytes = 0;
	return (int64_t)request->session->badge;
}
#pragma GCC pop_options

static const rpc_handler handlers[] = { badge };
static struct rpc_server server = { .handler = handlers, .handlers = 1, .session = sessions, .sessions = 4 };

static int serve(uint64_t ms)
{
	rpc_serve(&server);
	thread_sleep(ms ? core_now() + ms * MS : EXO_NEVER);
	return 0;
}

/* The one behind an entry may not run yet. */
static int64_t ask(exo_cap_t entry)
{
	struct rpc_client client = { .entry = entry, .timeout_ns = 5 * CORE_SECOND };
	exo_time_t end = core_now() + 5 * CORE_SECOND;
	uint64_t word[RPC_WORDS] = { 0 };
	int64_t result;

	while ((result = rpc_ask(&client, 0, word, NULL, 0, NULL, NULL)) == -EXO_ESTATE && core_now() < end)
		core_sleep(core_now() + MS, core_disp->events);
	return result;
}

static void say(const char *label, int64_t result)
{
	if (result < 0)
		printf("%s: %s\n", label, exo_error_name(result));
	else
		printf("%s: %ld\n", label, (long)result);
}

int main(int argc, char **argv)
{
	struct share share;
	int64_t entry = 0;

	if (argc > 1 && !strcmp(argv[1], "serve"))
		return serve(argc > 2 ? (uint64_t)atol(argv[2]) : 0);
	const struct directory_page *page = directory_open(&share);
	if (!page) {
		printf("no directory\n");
		return 0;
	}
	for (int i = 2; i < argc && strcmp(argv[i], "leave"); i++) {
		entry = directory_take(page, argv[i]);
		say(argv[i], entry < 0 ? entry : ask((exo_cap_t)entry));
	}
	if (argc > 3 && !strcmp(argv[argc - 1], "leave")) {
		exo_time_t end = core_now() + 10 * CORE_SECOND;
		struct directory_entry found;

		while (directory_find(page, argv[argc - 2], &found) == 0 && core_now() < end)
			core_sleep(core_now() + MS, core_disp->events);
		say("withdrawn", directory_take(page, argv[argc - 2]));
		say("still held", ask((exo_cap_t)entry));
	}
	return 0;
}
