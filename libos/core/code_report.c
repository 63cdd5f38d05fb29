/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check's report as sentences: which instruction, what is known of the register it is about, what the
 * instruction needs, and what a programmer can do. Writes into the caller's buffer and needs no library, for
 * the host's tools, too.
 */
#include <stdarg.h>
#include <stdbool.h>
#include "libos/core/code_report.h"

struct out {
	char *text;
	size_t bytes, length;
};

static void put(struct out *out, const char *s)
{
	for (; *s; s++, out->length++)
		if (out->length + 1 < out->bytes)
			out->text[out->length] = *s;
}

static void put_number(struct out *out, uint64_t number, bool is_signed)
{
	bool minus = is_signed && (int64_t)number < 0;
	char digits[24], *at = digits + sizeof(digits);
	bool hex;

	if (minus)
		number = 0 - number;
	hex = number > 99999 && !(is_signed && number < 100000000);
	*--at = 0;
	do {
		*--at = "0123456789abcdef"[number % (hex ? 16 : 10)];
		number /= hex ? 16 : 10;
	} while (number);
	if (minus)
		put(out, "-");
	put(out, hex ? "0x" : "");
	put(out, at);
}

/* %s text, %d signed, %u unsigned (both 64-bit). */
static void say(struct out *out, const char *format, ...)
{
	char one[2] = { 0 };
	va_list args;

	va_start(args, format);
	for (; *format; format++) {
		if (*format != '%') {
			one[0] = *format;
			put(out, one);
			continue;
		}
		if (*++format == 's')
			put(out, va_arg(args, const char *));
		else
			put_number(out, va_arg(args, uint64_t), *format == 'd');
	}
	va_end(args);
}

static size_t finish(struct out *out)
{
	if (out->length >= out->bytes)
		out->length = out->bytes ? out->bytes - 1 : 0;
	if (out->bytes)
		out->text[out->length] = 0;
	return out->length;
}

/* --- an instruction ----------------------------------------------------------------------------------- */

#define CLASS(code)	((code) & 7)
#define OP(code)	((code) >> 4)
#define BY_REG		8
#define SIGNED(x)	((uint64_t)(int64_t)(x))

static const char *const window_names[EXO_WINDOWS] = {
	"memory 0", "memory 1", "memory 2", "memory 3", "data", "context", "packet", "block", "stack",
};

static const char *window_name(uint32_t window)
{
	return window < EXO_WINDOWS ? window_names[window] : "no";
}

static void put_register(struct out *out, bool wide, unsigned reg)
{
	say(out, wide ? "r%u" : "w%u", (uint64_t)reg);
}

static void put_memory(struct out *out, const struct exo_insn *insn, unsigned reg, bool sign)
{
	static const char *const bits[] = { "32", "16", "8", "64" };

	say(out, "*(%s%s *)(r%u ", sign ? "s" : "u", bits[insn->code >> 3 & 3], (uint64_t)reg);
	say(out, insn->offset < 0 ? "- %u)" : "+ %u)", (uint64_t)(insn->offset < 0 ? -insn->offset : insn->offset));
}

static void put_arithmetic(struct out *out, const struct exo_insn *insn, unsigned dst, unsigned src)
{
	static const char *const ops[] = {
		"+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "", "%=", "^=", "=", "s>>=",
	};
	bool wide = CLASS(insn->code) == 7;
	unsigned op = OP(insn->code);

	put_register(out, wide, dst);
	if (op == 13) {
		say(out, wide ? " = swap%u " : insn->code & BY_REG ? " = be%u " : " = le%u ", SIGNED(insn->imm));
		put_register(out, wide, dst);
		return;
	}
	if (op == 8) {
		put(out, " = -");
		put_register(out, wide, dst);
		return;
	}
	put(out, (op == 3 || op == 9) && insn->offset ? " s" : " ");
	say(out, "%s ", op < 13 ? ops[op] : "?");
	if (op == 11 && insn->offset)
		say(out, "(s%u)", SIGNED(insn->offset));
	if (insn->code & BY_REG)
		put_register(out, wide, src);
	else
		say(out, "%d", SIGNED(insn->imm));
}

static void put_jump(struct out *out, const struct exo_insn *insn, unsigned dst, unsigned src, uint32_t at)
{
	static const char *const ops[] = {
		"", "==", ">", ">=", "&", "!=", "s>", "s>=", "", "", "<", "<=", "s<", "s<=",
	};
	static const char *const functions[] = {
#define NAME(number, name, uses, args, meaning)	[number] = #name,
		EXO_CODE_CALLS(NAME)
#undef NAME
	};
	bool wide = CLASS(insn->code) == 5;
	unsigned op = OP(insn->code);

	if (op == 9) {
		put(out, "exit");
	} else if (op == 8 && src == 1) {
		say(out, "call %d", SIGNED((int64_t)at + 1 + insn->imm));
	} else if (op == 8) {
		say(out, "call %s", insn->imm > 0 && insn->imm < EXO_CODE_CALL_COUNT ? functions[insn->imm] : "?");
	} else {
		if (op && op < 14) {
			put(out, "if ");
			put_register(out, wide, dst);
			say(out, " %s ", ops[op]);
			if (insn->code & BY_REG)
				put_register(out, wide, src);
			else
				say(out, "%d", SIGNED(insn->imm));
			put(out, " ");
		}
		say(out, "goto %d", SIGNED((int64_t)at + 1 + (!op && !wide ? insn->imm : insn->offset)));
	}
}

static void put_atomic(struct out *out, const struct exo_insn *insn, unsigned dst, unsigned src)
{
	unsigned op = (unsigned)insn->imm >> 4 & 15;

	put(out, "lock ");
	put_memory(out, insn, dst, false);
	if (op == 15 || op == 14)
		put(out, op == 15 ? " compare-exchange " : " exchange ");
	else
		put(out, op == 0 ? " += " : op == 4 ? " |= " : op == 5 ? " &= " : " ^= ");
	put_register(out, (insn->code & 0x18) == 0x18, src);
	if (insn->imm & 1 && op < 14)
		put(out, ", fetch");
}

static void put_insn(struct out *out, const struct exo_insn *insn, uint32_t insns, uint32_t at)
{
	unsigned dst, src;

	insn += at;
	dst = insn->regs & 15;
	src = insn->regs >> 4;
	switch (CLASS(insn->code)) {
	case 0:
		if (insn->code != 0x18 || at + 1 >= insns)
			put(out, at && insn[-1].code == 0x18 ? "(second half)" : "?");
		else if (src)
			say(out, "r%u = %s window + %u", (uint64_t)dst, window_name((uint32_t)insn->imm),
			    (uint64_t)(uint32_t)insn[1].imm);
		else
			say(out, "r%u = %d ll", (uint64_t)dst,
			    (uint64_t)(uint32_t)insn[1].imm << 32 | (uint32_t)insn->imm);
		break;
	case 1:
		say(out, "r%u = ", (uint64_t)dst);
		put_memory(out, insn, src, insn->code >> 5 == 4);
		break;
	case 2:
		put_memory(out, insn, dst, false);
		say(out, " = %d", SIGNED(insn->imm));
		break;
	case 3:
		if (insn->code >> 5 == 6) {
			put_atomic(out, insn, dst, src);
			break;
		}
		put_memory(out, insn, dst, false);
		say(out, " = r%u", (uint64_t)src);
		break;
	case 4:
	case 7:
		put_arithmetic(out, insn, dst, src);
		break;
	default:
		put_jump(out, insn, dst, src, at);
		break;
	}
}

size_t code_insn_text(char *text, size_t bytes, const struct exo_insn *insn, uint32_t insns, uint32_t at)
{
	struct out out = { text, bytes, 0 };

	if (at < insns)
		put_insn(&out, insn, insns, at);
	return finish(&out);
}

/* --- a report ----------------------------------------------------------------------------------------- */

static const struct {
	const char *text, *advice;
} rejects[] = {
#define TEXT(number, name, text)	[number] = { text, ADVICE_##name },
#define ADVICE_HEADER	"see struct exo_code in exo/code.h"
#define ADVICE_OPCODE	"instructions are those of RFC 9669 (no packet access group); compile with -mcpu=v3"
#define ADVICE_REGISTER	"registers are r0 to r10; r10 is only read"
#define ADVICE_JUMP	"jump to the first half of an instruction of the same function"
#define ADVICE_END	"end the function with exit, or with a jump that is always taken"
#define ADVICE_UNREACHED "leave it out; a function that is never called: make it static"
#define ADVICE_RECURSION "use a loop"
#define ADVICE_CALL	"exo/code.h lists the functions and who may call them; declare other functions in the same file"
#define ADVICE_UNSET	"give it a value on every way; r1 to r5 are lost by each call"
#define ADVICE_NUMBER	"only numbers can be added to an address; only addresses of one window compared or subtracted"
#define ADVICE_ADDRESS	"addresses come from the context, from variables, and from the stack; memory cannot hold them"
#define ADVICE_WINDOW	"packet, block, context and constants are only read; stack addresses stay in their function"
#define ADVICE_RANGE	"test the length before, or mask the offset"
#define ADVICE_ALIGN	"align the variable to the size of the access"
#define ADVICE_STACK	"give local variables a value before use; keep them below 512 bytes in each function"
#define ADVICE_ESCAPE	"store or return the offset instead, as a difference of two addresses"
#define ADVICE_MIXED	"let the register hold one kind of thing, of one window, on all ways that meet here"
#define ADVICE_FUEL	"ask for more fuel, or split the program"
#define ADVICE_WORK	"load it into more frames"
#define ADVICE_ROOM	"load it into more frames"
#define ADVICE_TANGLED	"split it into functions; keep less in registers and in saved slots over branches"
	EXO_REJECTS(TEXT)
#undef TEXT
};

static bool names_register(uint32_t reject)
{
	return reject >= EXO_REJECT_UNSET && reject <= EXO_REJECT_MIXED;
}

static void put_known(struct out *out, const struct exo_known *k)
{
	uint64_t fixed = ~k->unknown;

	switch (k->kind) {
	case EXO_KIND_UNSET:
		put(out, "has no value");
		return;
	case EXO_KIND_MIXED:
		put(out, "holds different kinds of things");
		return;
	case EXO_KIND_NUMBER:
		put(out, "is a number, ");
		break;
	case EXO_KIND_END:
		say(out, "is an address relative to the end of the %s window, ", window_name(k->window));
		break;
	default:
		say(out, "is an address in the %s window, at offset ", window_name(k->window));
		break;
	}
	if (k->min == k->max)
		say(out, "%d", SIGNED(k->min));
	else if (k->min == INT64_MIN && k->max == INT64_MAX && !k->umin && k->umax == UINT64_MAX)
		put(out, "any");
	else if (k->min == INT64_MIN && k->max == INT64_MAX)
		say(out, "%u to %u", k->umin, k->umax);
	else
		say(out, "%d to %d", SIGNED(k->min), SIGNED(k->max));
	if (k->min != k->max && fixed & 1) {
		uint64_t low = (fixed & 7) == 7 ? 7 : (fixed & 3) == 3 ? 3 : 1;

		say(out, " (a multiple of %u, and %u)", low + 1, k->value & low);
	}
}

static void put_needed(struct out *out, const struct exo_code_report *r)
{
	switch (r->reject) {
	case EXO_REJECT_RANGE:
	case EXO_REJECT_STACK:
		if (r->needed_min == r->needed_max && !r->needed_min)
			return;
		if (r->reject == EXO_REJECT_STACK && !r->needed_max)
			say(out, "  needed: byte %d of the stack has a value\n", r->needed_min);
		else
			say(out, "  needed: offset %d to %d in the %s window\n", r->needed_min, r->needed_max,
			    window_name(r->needed_window));
		break;
	case EXO_REJECT_ALIGN:
		say(out, "  needed: an offset that is a multiple of %u\n", r->needed_min);
		break;
	case EXO_REJECT_FUEL:
		say(out, "  needed: fuel %u\n", r->needed_min);
		break;
	case EXO_REJECT_WORK:
	case EXO_REJECT_ROOM:
		if (r->needed_min)
			say(out, "  needed: %u frames\n", r->needed_min);
		break;
	}
}

size_t code_report(char *text, size_t bytes, const struct exo_code_report *r, const struct exo_insn *insn,
    uint32_t insns)
{
	struct out out = { text, bytes, 0 };

	if (!r->reject) {
		say(&out, "accepted: %u instructions, %u memory accesses of which %u are tested at run time, "
		    "functions %u deep",
		    (uint64_t)r->insns, (uint64_t)r->accesses, (uint64_t)r->guarded, (uint64_t)r->depth);
		if (r->native_bytes)
			say(&out, ", %u bytes of machine code", (uint64_t)r->native_bytes);
		put(&out, "\n");
		return finish(&out);
	}
	say(&out, "rejected at instruction %u", (uint64_t)r->insn);
	if (insn && r->insn < insns) {
		put(&out, ": ");
		put_insn(&out, insn, insns, r->insn);
	}
	if (r->reject >= sizeof(rejects) / sizeof(rejects[0])) {
		say(&out, "\n  for reason %u\n", (uint64_t)r->reject);
		return finish(&out);
	}
	say(&out, "\n  %s\n", rejects[r->reject].text);
	if (names_register(r->reject)) {
		say(&out, "  known: r%u ", (uint64_t)r->reg);
		put_known(&out, &r->known);
		put(&out, "\n");
	}
	put_needed(&out, r);
	say(&out, "  mend: %s\n", rejects[r->reject].advice);
	return finish(&out);
}
