/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints what the kernel exposes, again and again until the machine ends, for end-to-end tests that look for
 * leaks beside a server. Not a test by itself. Usage: watch [MILLISECONDS]
 *
 * A line: `watch: N free FRAMES flows FLOWS dropped PACKETS longest NS`, then ` NAME FRAMES` for each
 * environment.
 */
#include <stdlib.h>
#include "libos/core/core.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"

static void look(unsigned number)
{
	char text[EXO_CONSOLE_MAX];
	uint64_t dropped = 0;
	unsigned flows = 0;
	size_t used;

	for (uint32_t i = 0; i < core_info->flows.entries; i++) {
		const struct exo_flow_info *flow = info_flow(i);
		flows += flow->state != 0;
		dropped += flow->state ? flow->rx_dropped : 0;
	}
	used = core_format(text, sizeof(text), "watch: %u free %u flows %u dropped %lu longest %lu", number,
			   core_info->frames_free, flows, dropped, info_cpu(0)->longest_ns);
	for (uint32_t i = 1; i < core_info->envs.entries && used < sizeof(text) - 40; i++) {
		const struct exo_env_info *env = info_env(i);
		if (env->state != EXO_ENV_NONE && env->state != EXO_ENV_ENDED)
			used += core_format(text + used, sizeof(text) - used, " %.15s %u", env->label, env->frames);
	}
	text[used++] = '\n';
	core_write(text, used);
}

int main(int argc, char **argv)
{
	long period = argc > 1 ? strtol(argv[1], NULL, 10) : 100;

	if (period < 1 || !info_env(1) || !info_flow(0))
		return 2;
	for (unsigned number = 1;; number++) {
		look(number);
		thread_sleep(core_now() + (uint64_t)period * (CORE_SECOND / 1000));
	}
}
