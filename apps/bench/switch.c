/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switches: between threads of one environment, between environments by directed yield, and by protected control
 * transfer. The other environment is this same program, started again from the archive with the argument `peer`; it has
 * a space and capabilities of its own.
 */
/* Pagers and transfer handlers run with the interrupted code's FPU registers live. */
#pragma GCC target("general-regs-only")

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "apps/bench/bench.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"

#define REPEAT		1000
#define IMAGE		"/bin/bench.uni"
#define PEER_FRAMES	2000
#define BADGE		0x0123456789abcdef

static struct spawn peer;
static bool stop;

static void other_thread(void *arg)
{
	(void)arg;
	while (!stop)
		thread_yield();
	thread_exit();
}

static void threads(void)
{
	struct thread *thread = thread_create("other", other_thread, NULL);
	struct bench_run run;

	bench_need(thread, "a thread");
	thread_yield();
	bench_begin(&run);
	for (unsigned i = 0; i < REPEAT; i++)
		thread_yield();
	bench_end(&run, "thread_switch", 2 * REPEAT, 1);
	stop = true;
	thread_join(thread);
}

/* Answer in place, with the words as they came. */
static void answer(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, bool reply)
{
	(void)badge, (void)caller, (void)reply;
	exo_reply(0, w0, w1, w2, w3);
}

void bench_peer(void)
{
	exo_cap_t partner = core_named("partner");

	core_call_handler = answer;
	for (;;)
		core_yield(partner);
}

void bench_again(struct spawn *spawn, const char *role)
{
	const char *const argv[] = { "bench", role };
	const struct spawn_grant grant[] = {
		{ "partner", core_named(EXO_NAME_ENV), EXO_RIGHT_READ | EXO_RIGHT_WAKE, 0, 0 },
		{ EXO_NAME_CONSOLE, core_named(EXO_NAME_CONSOLE), EXO_RIGHT_WRITE, 0, 0 },
	};
	struct stat status;
	int file = open(IMAGE, O_RDONLY);
	void *image;

	bench_need(file >= 0 && fstat(file, &status) == 0, "own image in the archive");
	image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	bench_need(image != MAP_FAILED, "own image in the archive");
	*spawn = (struct spawn){ .name = role, .image = image, .image_bytes = (size_t)status.st_size, .argc = 2, .argv = argv,
		.account = core_named(EXO_NAME_ACCOUNT), .limit_frames = PEER_FRAMES,
		.grant = grant, .grants = sizeof(grant) / sizeof(grant[0]) };
	if (spawn_make(spawn) != 0) {
		core_print("bench: %s\n", spawn->error);
		core_exit(1);
	}
	bench_need(spawn_start(spawn) == 0, "start of another");
	core_yield(spawn->env);
}

static void environments(void)
{
	uint64_t word[4] = { 1, 2, 3, 4 };
	struct bench_run run;
	int64_t entry;

	bench_again(&peer, "peer");
	bench_begin(&run);
	for (unsigned i = 0; i < REPEAT; i++)
		core_yield(peer.env);
	bench_end(&run, "env_switch", 2 * REPEAT, 1);

	entry = exo_entry_make(caps_slot(), peer.env, BADGE);
	bench_need(entry > 0, "an entry");
	bench_need(exo_call((exo_cap_t)entry, EXO_NEVER, word) == 0 && word[0] == 1 && word[3] == 4, "a transfer");
	bench_begin(&run);
	for (unsigned i = 0; i < REPEAT; i++)
		exo_call((exo_cap_t)entry, EXO_NEVER, word);
	bench_end(&run, "transfer_rtt", REPEAT, 1);
	spawn_destroy(&peer);
}

void bench_switch(void)
{
	threads();
	environments();
}
