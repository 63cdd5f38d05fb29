/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The undefined-behaviour sanitizer's runtime for the checked kernel: each of the compiler's handlers says what and
 * where, and is a panic. All of them get a record that begins with the place in the source; what else it says (types,
 * values) is left out: the place and the kind are enough to find it.
 */
#include "test/sanitize/sanitize.h"

struct place {
	const char *file;
	uint32_t line, column;
};

_Noreturn static void report(const char *what, const struct place *place)
{
	sanitize_on = false;
	panic("sanitizer: %s at %s:%u:%u", what, place->file, place->line, place->column);
}

#define HANDLER(name, what) \
	void __ubsan_handle_##name(const struct place *place); \
	void __ubsan_handle_##name(const struct place *place) { report(what, place); }

HANDLER(add_overflow, "signed addition overflows")
HANDLER(sub_overflow, "signed subtraction overflows")
HANDLER(mul_overflow, "signed multiplication overflows")
HANDLER(negate_overflow, "negation overflows")
HANDLER(divrem_overflow, "division by zero, or it overflows")
HANDLER(shift_out_of_bounds, "shift by too much, or of a negative number")
HANDLER(out_of_bounds, "index outside of its array")
HANDLER(pointer_overflow, "pointer arithmetic wraps around")
HANDLER(load_invalid_value, "value that its type does not have")
HANDLER(builtin_unreachable, "a place that cannot be reached is reached")
HANDLER(missing_return, "no value is returned")
HANDLER(vla_bound_not_positive, "array of no length")
HANDLER(nonnull_arg, "null where it must not be")
HANDLER(invalid_builtin, "zero where it must not be")

/* Null, wrongly aligned, or too small an object; only that with a place of its own is told apart. */
struct mismatch {
	struct place place;
	const void *type;
	uint8_t alignment, kind;
};

void __ubsan_handle_type_mismatch_v1(const struct mismatch *record, uint64_t pointer);
void __ubsan_handle_type_mismatch_v1(const struct mismatch *record, uint64_t pointer)
{
	uint64_t alignment = 1ULL << record->alignment;

	report(!pointer ? "null pointer used" : pointer & (alignment - 1) ? "wrongly aligned pointer used" :
	    "pointer to too small an object used", &record->place);
}

void __ubsan_handle_nonnull_return_v1(const void *record, const struct place *place);
void __ubsan_handle_nonnull_return_v1(const void *record, const struct place *place)
{
	(void)record;
	report("null returned", place);
}
