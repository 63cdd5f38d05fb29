/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first environment: reads the configuration from the boot archive, starts the programs, waits for them.
 *
 * It holds everything there is and gives each program its part; nothing depends on it once they run but what
 * it does when one ends: the report of a fault, freeing what it held, and stopping the machine with the
 * status of the main one. Every mistake in what it is given is one line and the machine's status INIT_STATUS.
 */
#include <string.h>
#include "apps/init/init.h"
#include "libos/core/thread.h"

#define CONFIGURATION	"etc/exo.conf"
#define TEXT_MAX	16384	/* bytes of a configuration */

static struct boot_archive archive;
static struct child *children;
static unsigned child_count;

static _Noreturn void halt(uint64_t status)
{
	exo_machine_halt(core_named(EXO_NAME_MACHINE), status);
	core_exit(status);
}

void init_fail(const char *format, ...)
{
	va_list arguments;

	core_print("init: ");
	va_start(arguments, format);
	core_vprint(format, arguments);
	va_end(arguments);
	core_print("\n");
	halt(INIT_STATUS);
}

static void configure(struct conf *conf, char *text, size_t text_bytes)
{
	const struct tar_node *node = archive_file(&archive, CONFIGURATION);
	struct conf_error error;

	if (!node)
		init_fail("the boot archive has no " CONFIGURATION);
	if (node->size >= text_bytes)
		init_fail(CONFIGURATION ": longer than %lu bytes", text_bytes - 1);
	if (conf_read(conf, node->data, node->size, text, text_bytes, &error))
		init_fail(CONFIGURATION ":%u:%u: %s", error.line, error.column, error.text);
}

/* An observer has ended: what it has not started starts now. */
static void let_go(const struct conf_program *observer)
{
	for (unsigned i = 0; i < child_count; i++)
		for (unsigned j = 0; j < observer->observe_count; j++)
			if (!strcmp(children[i].program->name, observer->observe[j]) && children[i].running && !children[i].waits)
				(void)spawn_start(&children[i].spawn);
}

/* Deal with the programs that have ended. Returns the machine's status when the main one has, else -1. */
static int64_t look_after(const struct conf *conf)
{
	int64_t halt_with = -1;

	for (unsigned i = 0; i < child_count; i++) {
		struct child *child = &children[i];
		const struct exo_env_info *info = child->running ? info_env((uint32_t)child->spawn.id) : NULL;
		if (!info || info->id != child->spawn.id || info->state != EXO_ENV_ENDED)
			continue;
		uint64_t status = program_end(child, info);
		if (i == conf->main)
			halt_with = (int64_t)status;
		let_go(child->program);
		for (unsigned j = 0; child->program->net == CONF_NET_DEVICE && j < child_count; j++) {
			if (net_next(&children[j])) {
				program_start(&children[j]);
				break;
			}
		}
	}
	return halt_with;
}

void core_main(void)
{
	/* On the stack, which is demand-paged: what is not used costs no frame. */
	struct conf conf;
	struct child child[CONF_PROGRAMS_MAX];
	char text[TEXT_MAX];

	archive_open(&archive);
	configure(&conf, text, sizeof(text));
	if (!info_env(0))
		init_fail("cannot map the exposed tables");
	children = child;
	child_count = conf.count;
	memset(child, 0, child_count * sizeof(child[0]));
	net_make(child, &conf);
	disks_make(&conf);
	for (unsigned i = 0; i < child_count; i++)
		program_make(&child[i], &conf.program[i], i, &archive);
	for (unsigned i = 0; i < child_count; i++)
		program_publish(&child[i]);
	for (unsigned i = 0; i < child_count; i++)
		program_others(&child[i], child, child_count);
	for (unsigned i = 0; i < child_count; i++)
		program_start(&child[i]);
	for (;;) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;
		int64_t status = look_after(&conf);
		if (status >= 0)
			halt((uint64_t)status);
		core_sleep(EXO_NEVER, events);
	}
}
