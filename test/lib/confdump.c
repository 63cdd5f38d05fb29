/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shows how the first program reads configurations: on standard input each comes as its length (4 bytes, the
 * machine's order) and its text; for each, a line is written, `error LINE` or the programs with their values.
 */
#include <stdio.h>
#include <string.h>

#include "apps/init/conf.h"

static char text[1 << 16], copy[1 << 16], words[1 << 16];
static struct conf conf;
static struct conf_error error;

static void show(const struct conf_program *p)
{
	char *argv[CONF_ARGS_MAX];
	int count;

	strcpy(words, p->args);
	count = conf_split(words, argv, CONF_ARGS_MAX, NULL);
	printf("|%s,%s,%s,%llu,%u,%d,%u,%u,%d", p->name, p->image, p->libos, (unsigned long long)p->memory,
	       p->slices, (int)p->net, p->port_count, p->volume_count, count);
	for (int i = 0; i < count; i++)
		printf(",%s", argv[i]);
	printf(";%u,%llu,%u,%u,%u,%u,%u,%u,%u,%u,%llu,%d,%d,%d,%d,%d", p->cpu, (unsigned long long)p->guarantee, p->guarantee_slices,
	       p->limit_slices, p->limit_envs, p->limit_flows, p->limit_rings, p->limit_shapes, p->limit_traces, p->budget, (unsigned long long)p->answer_ms,
	       p->randomize, p->seal, p->end_children, p->show_addresses, p->input);
	for (unsigned i = 0; i < p->demand_count; i++)
		printf(",%s", p->demand[i]);
	for (unsigned i = 0; i < p->observe_count; i++)
		printf(",%s", p->observe[i]);
	for (unsigned i = 0; i < p->device_count; i++)
		printf(",%s", p->device[i].name);
	for (unsigned i = 0; i < p->serve_count; i++)
		printf(",%s", p->serve[i]);
	for (unsigned i = 0; i < p->use_count; i++)
		printf(",%s", p->use[i]);
	for (unsigned i = 0; i < p->claim_count; i++)
		printf(",%d", conf_claim(p->claim[i], NULL, NULL));
	printf(";%d,%u", (int)p->disk, p->disk_shares);
	for (unsigned i = 0; i < p->extent_count; i++)
		printf(",%s/%s/%d/%d", p->extent[i].label, p->extent[i].name, p->extent[i].read_only, p->extent[i].shared);
	for (unsigned i = 0; i < p->mount_count; i++)
		printf(",%s:%s:%s:%s", p->mount[i].path, p->mount[i].kind, p->mount[i].extent ? p->mount[i].extent : "-",
		       p->mount[i].options);
}

int main(void)
{
	unsigned length;

	while (fread(&length, sizeof(length), 1, stdin) == 1) {
		if (length > sizeof(text) || fread(text, 1, length, stdin) != length)
			return 1;
		if (conf_read(&conf, text, length, copy, sizeof(copy), &error)) {
			printf("error %u\n", error.line);
			continue;
		}
		printf("main %u", conf.main);
		for (unsigned i = 0; i < conf.count; i++)
			show(&conf.program[i]);
		putchar('\n');
	}
	return 0;
}
