/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exo bpf run: an accepted program, interpreted and compiled side by side: on a packet, on each packet of a capture, on a
 * block, or on what a sleeper knows. Memory starts as the file's variables do and stays from packet to packet. What the
 * two runs leave must be equal; the first difference is an error.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "tools/bpf/load.h"

#define SHOWN	16	/* packets, and changes of memory */
#define PCAP_MICRO	0xa1b2c3d4
#define PCAP_NANO	0xa1b23c4d

static struct loaded loaded;
static uint8_t stack[BPF_STACK_BYTES] __attribute__((aligned(16)));

static struct job {
	struct bytes packet, capture, block;
	struct exo_wake wake;
	uint64_t number;	/* of the block */
	const char *memory[EXO_WINDOWS_OWN];
	uint32_t use;
	const char *path;
} job;

/* What a run leaves. */
struct outcome {
	uint64_t r0, seen;
	int64_t fuel;
	uint32_t stop, steps;
	uint8_t *memory[EXO_WINDOWS_OWN];
	struct host_run host;
	struct bpf_emits emits;
	uint64_t emit[EXO_EMITS_MAX][3];
};

/* --- one run ------------------------------------------------------------------------------------------------------- */

static union context {
	struct exo_packet packet;
	struct exo_wake wake;
	struct exo_block block;
} context;

static void fill_context(struct bpf_run *run, uint8_t *data, uint64_t bytes, uint64_t time)
{
	uint64_t at = (uintptr_t)data;

	run->window[EXO_WINDOW_CONTEXT] = (struct bpf_window){ (uint8_t *)&context, sizeof(context) };
	if (loaded.program.use == EXO_USE_WAKE) {
		context.wake = job.wake;
	} else if (loaded.program.use == EXO_USE_OWNER) {
		context.block = (struct exo_block){ at, at + bytes, job.number, 0 };
		run->window[EXO_WINDOW_BLOCK] = (struct bpf_window){ data, bytes };
	} else {
		context.packet = (struct exo_packet){ at, at + bytes, (uint32_t)bytes, 0, time };
		run->window[EXO_WINDOW_PACKET] = (struct bpf_window){ data, bytes };
	}
}

static void run_once(struct outcome *out, bpf_native_fn *native, uint8_t *data, uint64_t bytes, uint64_t time)
{
	struct bpf_run run = { .owner = &out->host };

	out->host = (struct host_run){ .time = time };
	out->emits = (struct bpf_emits){ 0, out->emit };
	if (loaded.program.use == EXO_USE_OWNER)
		run.owner = &out->emits;
	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++)
		run.window[w] = loaded.window[w];
	run.window[EXO_WINDOW_DATA] = (struct bpf_window){ loaded.data, loaded.program.data_bytes };
	fill_context(&run, data, bytes, time);
	bpf_begin(&run, &loaded.program, stack);
	out->r0 = native ? native((uintptr_t)&context, 0, &run) : bpf_interpret(&run, (uintptr_t)&context, 0);
	out->stop = run.stop;
	out->fuel = run.fuel < 0 ? -1 : run.fuel;
	out->seen = run.seen;
	out->steps = run.steps;
}

static void keep_memory(struct outcome *out)
{
	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++)
		memcpy(out->memory[w], loaded.window[w].base, loaded.window[w].bytes);
}

/* Where the two differ; NULL: nowhere. */
static const char *difference(const struct outcome *a, const struct outcome *b)
{
	if (a->stop == BPF_STOP_ESCAPE)
		return "an access outside its window that carries no test: the verifier is wrong";
	if (a->r0 != b->r0)
		return "r0";
	if (a->stop != b->stop)
		return "the reason of the end";
	if (a->fuel != b->fuel)
		return "fuel";
	if (a->seen != b->seen)
		return "the parts of the block that were read";
	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++)
		if (loaded.window[w].bytes && memcmp(a->memory[w], b->memory[w], loaded.window[w].bytes))
			return "memory";
	if (a->host.wakes != b->host.wakes || a->host.sends != b->host.sends ||
	    memcmp(a->host.sent, b->host.sent, sizeof(a->host.sent)))
		return "what was sent";
	if (a->emits.count != b->emits.count || memcmp(a->emit, b->emit, a->emits.count * sizeof(a->emit[0])))
		return "what was emitted";
	return NULL;
}

/* --- what is said --------------------------------------------------------------------------------------------------- */

static const char *verdict(uint64_t r0, uint32_t stop)
{
	static const char *const stops[] = { "", "stopped: out of fuel", "stopped: an access outside its window",
		"escaped" };
	static char text[32];

	if (stop)
		return stops[stop & 3];
	if (loaded.program.use == EXO_USE_WAKE)
		return r0 ? "wake" : "sleep on";
	if (loaded.program.use == EXO_USE_OWNER)
		return r0 ? "not well formed" : "well formed";
	if (r0 >= EXO_PACKET_STEER && r0 < EXO_PACKET_STEER + 65536) {
		snprintf(text, sizeof(text), "steer to %u", (unsigned)(r0 - EXO_PACKET_STEER));
		return text;
	}
	return r0 == EXO_PACKET_DROP ? "drop" : r0 == EXO_PACKET_DONE ? "done" : "keep";
}

static void say_result(const struct outcome *out)
{
	printf("r0 0x%" PRIx64 " (%s), %" PRIu32 " instructions, fuel left %" PRId64 "\n", out->r0,
	    verdict(out->r0, out->stop), out->steps, out->fuel);
	if (out->host.wakes)
		printf("  wakes the application %" PRIu32 " times\n", out->host.wakes);
	if (out->host.sends) {
		printf("  sends %" PRIu32 " frames, the last of %" PRIu64 " bytes:", out->host.sends, out->host.sent_bytes);
		for (uint64_t i = 0; i < out->host.sent_bytes; i++)
			printf(" %02x", out->host.sent[i]);
		putchar('\n');
	}
	for (uint32_t i = 0; i < out->emits.count; i++)
		printf("  block %" PRIu64 ", %" PRIu64 " of them, type %" PRIu64 "\n", out->emit[i][0], out->emit[i][1],
		    out->emit[i][2]);
	if (loaded.program.use == EXO_USE_OWNER)
		printf("  read of the block: %d of 64 pieces, 0x%016" PRIx64 "\n", __builtin_popcountll(out->seen), out->seen);
}

static void say_changes(const struct outcome *before, const struct outcome *after)
{
	unsigned shown = 0;

	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++)
		for (uint64_t at = 0; at < loaded.window[w].bytes; at += 8) {
			if (memcmp(before->memory[w] + at, after->memory[w] + at, 8) == 0)
				continue;
			if (shown++ == SHOWN) {
				printf("  and more\n");
				return;
			}
			printf("  memory %u + %" PRIu64 ":", w, at);
			for (unsigned i = 0; i < 8; i++)
				printf(" %02x", after->memory[w][at + i]);
			putchar('\n');
		}
}

/* --- runs ---------------------------------------------------------------------------------------------------------- */

static struct outcome before, interpreted, compiled;
static uint64_t sum_steps, verdicts[5], runs;

static int run_both(bpf_native_fn *native, uint8_t *data, uint64_t bytes, uint64_t time, bool say)
{
	const char *wrong;

	keep_memory(&before);
	run_once(&interpreted, NULL, data, bytes, time);
	keep_memory(&interpreted);
	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++)
		memcpy(loaded.window[w].base, before.memory[w], loaded.window[w].bytes);
	run_once(&compiled, native, data, bytes, time);
	keep_memory(&compiled);
	runs++;
	sum_steps += interpreted.steps;
	verdicts[interpreted.stop ? 4 : interpreted.r0 <= 2 ? interpreted.r0 : interpreted.r0 >= EXO_PACKET_STEER ? 3 : 0]++;
	wrong = difference(&interpreted, &compiled);
	if (wrong)
		return complain("interpreter and compiled code differ: %s (r0 %llx and %llx)", wrong,
		    (unsigned long long)interpreted.r0, (unsigned long long)compiled.r0);
	if (say) {
		say_result(&interpreted);
		say_changes(&before, &interpreted);
	}
	return 0;
}

static uint32_t swapped(uint32_t number, bool swap)
{
	return swap ? __builtin_bswap32(number) : number;
}

/* Classic capture files: a header of 24 bytes, and 16 before each packet: seconds, fraction, bytes here, bytes there. */
static int run_capture(bpf_native_fn *native)
{
	static const char *const names[] = { "keep", "drop", "done", "steer", "stopped" };
	const uint8_t *file = job.capture.at;
	uint32_t magic = 0, head[4];
	size_t at = 24;
	bool swap;

	if (job.capture.count >= 24)
		memcpy(&magic, file, 4);
	swap = magic == __builtin_bswap32(PCAP_MICRO) || magic == __builtin_bswap32(PCAP_NANO);
	if (!swap && magic != PCAP_MICRO && magic != PCAP_NANO)
		return 2 * complain("--pcap: not a capture file (pcapng: convert it with editcap -F pcap)");
	for (; at < job.capture.count; at += head[2]) {
		uint64_t fraction = magic == PCAP_NANO || magic == __builtin_bswap32(PCAP_NANO) ? 1 : 1000;
		uint8_t *packet;
		int status;

		if (job.capture.count - at < sizeof(head))
			break;
		memcpy(head, file + at, sizeof(head));
		at += sizeof(head);
		head[2] = swapped(head[2], swap);
		if (head[2] > job.capture.count - at || head[2] > 65535)
			return 2 * complain("--pcap: packet %llu is cut off", (unsigned long long)runs + 1);
		packet = malloc(head[2] + 1u);
		memcpy(packet, file + at, head[2]);
		if (runs < SHOWN)
			printf("packet %" PRIu64 ", %" PRIu32 " bytes: ", runs + 1, head[2]);
		status = run_both(native, packet, head[2],
		    swapped(head[0], swap) * 1000000000ull + swapped(head[1], swap) * fraction, runs < SHOWN);
		free(packet);
		if (status)
			return status;
	}
	printf("%" PRIu64 " packets, %" PRIu64 " instructions each:", runs, runs ? sum_steps / runs : 0);
	for (unsigned i = 0; i < 5; i++)
		if (verdicts[i])
			printf(" %s %" PRIu64, names[i], verdicts[i]);
	putchar('\n');
	return 0;
}

/* --- words --------------------------------------------------------------------------------------------------------- */

static int take_wake(const char *words)
{
	static const char *const names[] = { "now", "until", "pending", "events" };
	uint64_t *fields[] = { &job.wake.now, &job.wake.until, &job.wake.pending, &job.wake.events };

	while (*words) {
		size_t name = strcspn(words, "=,");
		unsigned i = 0;
		char *end;

		while (i < 4 && (strlen(names[i]) != name || strncmp(words, names[i], name)))
			i++;
		if (i == 4 || words[name] != '=')
			return complain("--wake %s: give now=N,until=N,pending=N,events=N, or some of them", words);
		*fields[i] = strtoull(words + name + 1, &end, 0);
		if (end == words + name + 1 || (*end && *end != ','))
			return complain("--wake %s: no number", words);
		words = end + (*end == ',');
	}
	return 0;
}

static int take_hex(struct bytes *bytes, const char *option, const char *words)
{
	for (words += strspn(words, " \n"); *words; words += strspn(words, " \n")) {
		size_t length = strcspn(words, " \n");

		if (!bytes_hex(bytes, words, length))
			return complain("%s: %.*s is no row of bytes in hexadecimal", option, (int)length, words);
		words += length;
	}
	return 0;
}

static int take_block(const char *word)
{
	char *path = strdup(word), *colon = strrchr(path, ':');
	size_t skip;
	int status;

	if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && colon[1]) {
		job.number = strtoull(colon + 1, NULL, 10);
		*colon = 0;
	}
	status = read_file(path, &job.block);
	skip = job.number * EXO_PAGE_SIZE;
	if (!status && (job.block.count < skip || job.block.count - skip < EXO_PAGE_SIZE))
		status = complain("--block %s: the file has no block %llu of %u bytes", path,
		    (unsigned long long)job.number, EXO_PAGE_SIZE);
	if (!status)
		memmove(job.block.at, job.block.at + skip, EXO_PAGE_SIZE);
	free(path);
	return status;
}

static int take_memory(const char *word)
{
	unsigned w = 0;

	if (word[0] >= '0' && word[0] < '0' + EXO_WINDOWS_OWN && word[1] == ':') {
		w = (unsigned)(word[0] - '0');
		word += 2;
	}
	job.memory[w] = word;
	return 0;
}

static int take_words(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *option = argv[i], *word;
		int status;

		if (option[0] != '-' && !job.path) {
			job.path = option;
			continue;
		}
		word = argv[i + 1];
		if (option[0] != '-')
			return complain("run %s: one file at a time", option);
		if (!word)
			return complain("run %s: what? There must be a word behind it", option);
		i++;
		if (strcmp(option, "--use") == 0)
			status = !(job.use = use_named(word));
		else if (strcmp(option, "--packet") == 0)
			status = take_hex(&job.packet, option, word);
		else if (strcmp(option, "--pcap") == 0)
			status = read_file(word, &job.capture);
		else if (strcmp(option, "--block") == 0)
			status = take_block(word);
		else if (strcmp(option, "--wake") == 0)
			status = take_wake(word);
		else if (strcmp(option, "--memory") == 0)
			status = take_memory(word);
		else
			status = complain("run %s: there is no such option: there are --use, --packet, --pcap, --block, --wake "
			    "and --memory", option);
		if (status)
			return status;
	}
	return job.path ? 0 : complain("run: which file? exo bpf run FILE.o");
}

static int fill_memory(void)
{
	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++) {
		struct bytes bytes = { NULL, 0, 0 };

		if (!loaded.window[w].base)
			loaded.window[w].base = calloc(1, 1);
		before.memory[w] = calloc(1, loaded.window[w].bytes + 8);
		interpreted.memory[w] = calloc(1, loaded.window[w].bytes + 8);
		compiled.memory[w] = calloc(1, loaded.window[w].bytes + 8);
		if (!job.memory[w])
			continue;
		if (take_hex(&bytes, "--memory", job.memory[w]))
			return 1;
		if (bytes.count > loaded.window[w].bytes)
			return complain("--memory: the program's window %u has %llu bytes", w,
			    (unsigned long long)loaded.window[w].bytes);
		memcpy(loaded.window[w].base, bytes.at, bytes.count);
		free(bytes.at);
	}
	return 0;
}

int verb_run(int argc, char **argv)
{
	static uint8_t empty[EXO_PAGE_SIZE];
	struct native native;
	uint8_t *data;
	uint64_t bytes;

	if (take_words(argc, argv) || load_program(&loaded, job.path, job.use) || fill_memory())
		return 2;
	if (check_loaded(&loaded)) {
		explain(stderr, &loaded.program, &loaded.report);
		return 1;
	}
	native = native_make(&loaded.program, 0x9e3779b97f4a7c15);
	if (!native.run)
		return 2 * complain("there is no memory that may be executed");
	if (job.capture.at && loaded.program.use == EXO_USE_PACKET)
		return run_capture(native.run);
	data = loaded.program.use == EXO_USE_OWNER ? job.block.at : job.packet.at;
	bytes = loaded.program.use == EXO_USE_OWNER ? EXO_PAGE_SIZE : job.packet.count;
	return run_both(native.run, data ? data : empty, bytes, 0, true);
}
