/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of a trace as lines, each one console write. Names of calls and arguments come from the kernel's own table
 * (include/exo/call.h), errors from theirs.
 */
#include <string.h>
#include "apps/trace/print.h"
#include "libos/core/core.h"

static const struct {
	const char *name, *letters, *arguments;
} calls[EXO_CALL_COUNT] = {
#define CALL(nr, name, args, names, rights, meaning) [nr] = { #name, args, names },
	EXO_CALLS(CALL)
#undef CALL
};

struct line {
	char text[EXO_CONSOLE_MAX];
	size_t used;
};

static __attribute__((format(printf, 2, 3))) void add(struct line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	size_t more = core_vformat(line->text + line->used, sizeof(line->text) - line->used, format, arguments);
	va_end(arguments);
	line->used += more;
	if (line->used >= sizeof(line->text))
		line->used = sizeof(line->text) - 1;
}

static void add_time(struct line *line, exo_time_t time)
{
	add(line, "%u.%06u", (unsigned)(time / CORE_SECOND), (unsigned)(time % CORE_SECOND / 1000));
}

static void begin(struct line *line, const struct printer *printer, exo_time_t time)
{
	line->used = 0;
	add(line, "[%s] ", printer->name);
	add_time(line, time);
	add(line, " ");
}

static void add_number(struct line *line, uint64_t value)
{
	add(line, value < 100000 ? "%lu" : "0x%lx", value);
}

static void add_value(struct line *line, char letter, uint64_t value)
{
	if (letter == 'c' && value)
		add(line, "#%u.%u", (uint32_t)value, (uint32_t)(value >> 32));
	else if (letter == 's' && value >> 32)
		add(line, "#%u.%u", (uint32_t)value, (uint32_t)(value >> 32));
	else if (letter == 'v')
		add(line, "0x%lx", value);
	else if (letter == 't' && value == EXO_NEVER)
		add(line, "never");
	else if (letter == 't')
		add_time(line, value);
	else
		add_number(line, value);
}

static void add_call(struct line *line, const struct exo_trace_record *call)
{
	const char *name = call->number < EXO_CALL_COUNT ? calls[call->number].name : NULL, *at;

	if (!name) {
		add(line, "call %u", call->number);
		return;
	}
	at = calls[call->number].arguments;
	add(line, "%s(", name);
	for (unsigned i = 0; calls[call->number].letters[i]; i++) {
		size_t length = strcspn(at, ",");
		add(line, "%s%.*s ", i ? ", " : "", (int)length, at);
		add_value(line, calls[call->number].letters[i], call->word[i]);
		at += length + (at[length] == ',' ? 1 : 0);
		at += strspn(at, " ");
	}
	add(line, ")");
}

static void write_line(struct line *line)
{
	core_line("%s", line->text);
}

/* The call that has not come back, and does not before something else happens. */
static void finish(struct printer *printer)
{
	struct line line;

	if (!printer->call.kind)
		return;
	begin(&line, printer, printer->call.time);
	add_call(&line, &printer->call);
	write_line(&line);
	printer->call.kind = 0;
}

static void add_result(struct line *line, int64_t result)
{
	if (result < 0 && result >= -64)
		add(line, " = -%s (%s)", exo_error_name(result), exo_error_text(result));
	else {
		add(line, " = ");
		add_number(line, (uint64_t)result);
	}
}

static void print_result(struct printer *printer, const struct exo_trace_record *record)
{
	struct line line;

	if (printer->call.kind && printer->call.number == record->number) {
		begin(&line, printer, printer->call.time);
		add_call(&line, &printer->call);
		printer->call.kind = 0;
	} else {
		finish(printer);
		begin(&line, printer, record->time);
		add(&line, "... %s", record->number < EXO_CALL_COUNT && calls[record->number].name ?
		    calls[record->number].name : "?");
	}
	add_result(&line, (int64_t)record->word[0]);
	write_line(&line);
}

static void add_upcall(struct line *line, const struct exo_trace_record *record)
{
	static const char *const reasons[] = { "start", "slice", "time", "event", "replied", "moved" };

	if (record->number == EXO_UPCALL_CALL)
		add(line, "--> transfer, badge %lu, from %u", record->word[0], (uint32_t)record->word[1]);
	else if (record->number == EXO_UPCALL_END)
		add(line, "--> end of the slice");
	else {
		add(line, "--> run:");
		for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
			if (record->word[0] >> i & 1)
				add(line, " %s", reasons[i]);
	}
}

static void print_other(struct printer *printer, const struct exo_trace_record *record)
{
	struct line line;

	finish(printer);
	begin(&line, printer, record->time);
	switch (record->kind) {
	case EXO_TRACE_EXCEPTION:
		add(&line, "--- %s", core_vector_name(record->number));
		if (record->number == 14)
			add(&line, ": %s of 0x%lx", core_access_name(record->word[0]), record->word[1]);
		add(&line, " at 0x%lx", record->word[2]);
		break;
	case EXO_TRACE_UPCALL:
		add_upcall(&line, record);
		break;
	case EXO_TRACE_RUNS:
		add(&line, "runs on CPU %u", record->number);
		break;
	case EXO_TRACE_WAITS:
		add(&line, "interrupted at 0x%lx", record->word[0]);
		break;
	case EXO_TRACE_END:
		if (record->number == EXO_CAUSE_EXIT)
			add(&line, "+++ ended with status %lu", record->word[0]);
		else
			add(&line, "+++ ended by cause %u (%s) at 0x%lx", record->number,
			    record->number < 32 ? core_vector_name(record->number) : "the kernel", record->word[1]);
		break;
	default:
		add(&line, "record of kind %u", record->kind);
	}
	write_line(&line);
}

void print_record(struct printer *printer, const struct exo_trace_record *record)
{
	if (record->kind == EXO_TRACE_CALL) {
		finish(printer);
		printer->call = *record;
	} else if (record->kind == EXO_TRACE_RESULT) {
		print_result(printer, record);
	} else {
		print_other(printer, record);
	}
}

void print_missing(struct printer *printer, uint64_t count)
{
	printer->call.kind = 0;
	core_line("[%s] %lu records were overwritten before they could be shown", printer->name, count);
}
