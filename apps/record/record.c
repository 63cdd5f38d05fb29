/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record: what other programs do, as the kernel sees it, and samples of where they are, into a log in memory that is
 * read from outside of the machine (log.h). exo run --trace FILE and --profile FILE start it.
 *
 * Like trace it holds each patient by `env:NAME` (key observe of exo.conf), starts it when its ring is there, and ends
 * with the status of the first when all have ended. A keeper shows its processes (libos/core/observe.h): they are
 * patients, too, from the moment that this program sees them. For samples it goes to the CPU that the patients are on.
 *
 * Usage: record [--calls | --switches] [--sample US] [--log FRAMES] [--ring FRAMES] NAME...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/record/log.h"
#include "apps/record/record.h"
#include "libos/core/observe.h"
#include "libos/core/spawn.h"

#define LOOK_NS		(CORE_SECOND / 1000)
#define MACHINE_NS	(CORE_SECOND / 20)
#define ROOM_LEAST	1024	/* entries: with less the kernel's rings keep what comes */

#define PROCESS_FRAMES	64		/* of a process' ring, at most */

static struct patient patients[LOG_PATIENTS_MAX];
static unsigned places;			/* of these that were ever used */
static unsigned count, ended;		/* named ones */
static unsigned numbers;
static struct {
	uint64_t mask, sample_ns;
	uint32_t log_frames, ring_frames;
} option = { .mask = EXO_TRACE_ALL, .log_frames = 1024, .ring_frames = EXO_TRACE_FRAMES_MAX };

/* --- patients --------------------------------------------------------------------------------------------- */

static void describe(struct patient *patient)
{
	uint64_t word[6] = { patient->id };

	(void)spawn_read(patient->env, EXO_VA_START + offsetof(struct exo_start, image), &word[1], 2 * sizeof(word[0]));
	memcpy(&word[3], patient->name, sizeof(patient->name));
	patient->placed = word[1] != 0;
	log_write(patient->number, LOG_PATIENT, 0, word);
	log_head()->patient[patient - patients] = (struct log_patient){ .ring_first = patient->ring.first,
		.ring_frames = patient->ring.frames, .number = patient->number };
}

/* What is exposed of the environment behind a capability, found by its creation's number; NULL: it is no more. */
static const struct exo_env_info *info_of(exo_cap_t env)
{
	uint32_t creation = caps_at(exo_cap_slot(env))->count;

	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		if ((uint32_t)(info_env(i)->id >> 32) == creation && info_env(i)->state != EXO_ENV_NONE)
			return info_env(i);
	return NULL;
}

/* A place for one more, perhaps with a ring from before; NULL: there is none. */
static struct patient *place(void)
{
	for (unsigned i = 0; i < places; i++)
		if (!patients[i].used)
			return &patients[i];
	return places < LOG_PATIENTS_MAX ? &patients[places++] : NULL;
}

/* 0 or an error. */
static int64_t begin(const char *name, exo_cap_t env, bool named)
{
	const struct exo_env_info *info = info_of(env);
	struct patient *patient = info ? place() : NULL;

	if (!patient)
		return info ? -EXO_EFULL : -EXO_EDEAD;
	*patient = (struct patient){ .named = named, .number = numbers, .env = env, .id = info->id, .ring = patient->ring };
	snprintf(patient->name, sizeof(patient->name), "%.15s", name ? name : info->label);
	int64_t error = ring_start(&patient->ring, env, option.mask, named ? option.ring_frames : PROCESS_FRAMES);
	if (error < 0)
		return error;
	patient->used = true;
	numbers++;
	describe(patient);
	return 0;
}

static int begin_named(const char *name)
{
	char cap_name[EXO_START_NAME];

	snprintf(cap_name, sizeof(cap_name), "env:%s", name);
	exo_cap_t env = core_named(cap_name);
	if (!env) {
		fprintf(stderr, "record: this program may not observe %s; write observe = %s into its section\n", name, name);
		return -1;
	}
	int64_t error = begin(name, env, true);
	if (error >= 0)
		error = exo_env_start(env);
	if (error < 0) {
		fprintf(stderr, "record: %s cannot be observed: %s\n", name, exo_error_text(error));
		return -1;
	}
	count++;
	return 0;
}

/* Is this capability a patient's? */
static bool known(exo_cap_t env)
{
	for (unsigned i = 0; i < places; i++)
		if (patients[i].used && patients[i].env == env)
			return true;
	return false;
}

/* Processes that keepers have shown since the last look. */
static void look_for_processes(void)
{
	for (uint32_t slot = OBSERVE_SLOT; slot < OBSERVE_SLOT + OBSERVE_SLOTS; slot++) {
		exo_cap_t env = caps_handle(slot);
		if (caps_at(slot)->type != EXO_TYPE_ENV || known(env))
			continue;
		if (begin(NULL, env, false) < 0)
			caps_delete(env);
	}
}

/* Slots for them. False: there is no memory. */
static bool expect_processes(void)
{
	while (!caps_at(OBSERVE_SLOT + OBSERVE_SLOTS - 1))
		if (!caps_slots(OBSERVE_SLOT + OBSERVE_SLOTS))
			return false;
	caps_reserve(OBSERVE_SLOT, OBSERVE_SLOT + OBSERVE_SLOTS);
	return true;
}

static void end(struct patient *patient, const struct exo_trace_record *last)
{
	patient->ended = true;
	patient->status = last->number == EXO_CAUSE_EXIT ? (int)(last->word[0] & 0xff) : 128 + (int)last->number;
	if (option.sample_ns)
		sample_rest(patient);
	counters_patient(patient);
	log_head()->patient[patient - patients].ring_frames = 0;
	ended += patient->named;
	if (patient->named)
		return;
	caps_delete(patient->env);
	patient->used = false;
}

/* What is new of it goes to the log, as far as there is room. */
static void drain(struct patient *patient)
{
	struct exo_trace_record record;
	uint64_t lost;

	while (!patient->ended && log_room() >= ROOM_LEAST && ring_next(&patient->ring, &record, &lost)) {
		if (lost) {
			log_write(patient->number, LOG_LOST, 0, (uint64_t[6]){ lost });
		} else {
			uint32_t kind = record.kind;
			if (!patient->placed)	/* it was shown before its program was there */
				describe(patient);
			record.kind |= patient->number << 16;
			log_put(&record);
			if (kind == EXO_TRACE_END)
				end(patient, &record);
		}
		log_head()->patient[patient - patients].shown = patient->ring.shown;
	}
}

/* --- samples ---------------------------------------------------------------------------------------------- */

/* The next CPU, behind the one that this program is on, that has a patient; or this one. */
static uint32_t next_cpu(void)
{
	uint32_t own = info_env((uint32_t)core_disp->self)->cpu, best = own, least = core_info->cpus;

	for (unsigned i = 0; i < places; i++) {
		const struct exo_env_info *info = info_env((uint32_t)patients[i].id);
		uint32_t away = (info->cpu + core_info->cpus - own) % core_info->cpus;
		if (patients[i].used && !patients[i].ended && info->cpu < core_info->cpus && away && away < least) {
			least = away;
			best = info->cpu;
		}
	}
	return best;
}

static void take_samples(void)
{
	for (unsigned i = 0; i < places; i++)
		if (patients[i].used && !patients[i].ended)
			sample(&patients[i]);
	uint32_t cpu = next_cpu();
	if (cpu != info_env((uint32_t)core_disp->self)->cpu && core_move(cpu) >= 0)
		sample_slices();
}

/* --- running ---------------------------------------------------------------------------------------------- */

static void look(void)
{
	look_for_processes();
	for (unsigned i = 0; i < places; i++)
		if (patients[i].used)
			drain(&patients[i]);
	counters_flows();
}

static void run(void)
{
	exo_time_t now = core_now(), next_sample = now, next_machine = now, next_look;

	while (ended < count) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;
		now = core_now();
		if (option.sample_ns && now >= next_sample) {
			take_samples();
			while (next_sample <= now)
				next_sample += option.sample_ns;
		}
		look();
		if (now >= next_machine) {
			counters_machine();
			next_machine = now + MACHINE_NS;
		}
		next_look = now + LOOK_NS;
		if (option.sample_ns && next_sample < next_look)
			next_look = next_sample;
		if (ended < count)
			core_sleep(next_look, events);	/* there is no other thread */
	}
	counters_machine();
}

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	char *end;

	if (!text)
		return false;
	*value = strtoul(text, &end, 10);
	return end != text && !*end && *value >= least && *value <= most;
}

/* The first word that is no option; -1: wrong. */
static int options(int argc, char **argv)
{
	uint64_t value;
	int at;

	for (at = 1; at < argc && argv[at][0] == '-'; at++) {
		const char *word = argv[at];
		if (!strcmp(word, "--calls"))
			option.mask = EXO_TRACE_CALLS | EXO_TRACE_SWITCHES;
		else if (!strcmp(word, "--switches"))
			option.mask = EXO_TRACE_SWITCHES;
		else if (!strcmp(word, "--sample") && number(argv[++at], 100, 1000000, &value))
			option.sample_ns = value * 1000;
		else if (!strcmp(word, "--log") && number(argv[++at], 32, 1 << 16, &value))
			option.log_frames = (uint32_t)value;
		else if (!strcmp(word, "--ring") && number(argv[++at], 1, EXO_TRACE_FRAMES_MAX, &value))
			option.ring_frames = (uint32_t)value;
		else
			return -1;
	}
	return at < argc && argc - at <= LOG_PATIENTS_MAX ? at : -1;
}

int main(int argc, char **argv)
{
	int at = options(argc, argv);

	if (at < 0) {
		fprintf(stderr, "usage: record [--calls | --switches] [--sample US] [--log FRAMES] [--ring FRAMES] NAME..., "
			"at most %d\n", LOG_PATIENTS_MAX);
		return 2;
	}
	if (!expect_processes() || !counters_begin() || !log_make(option.log_frames)) {
		fprintf(stderr, "record: there is no memory for the log\n");
		return 1;
	}
	names_write();
	if (option.sample_ns)
		sample_slices();
	for (; at < argc; at++)
		if (begin_named(argv[at]))
			return 1;
	run();
	return patients[0].status;
}
