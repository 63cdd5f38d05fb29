# SPDX-License-Identifier: BSD-2-Clause
#
# The checked kernel, exo/exo-checked.elf: the kernel's own files with EXO_DEBUG, the address and the undefined-behaviour
# sanitizer and our runtime for them, and with its invariants looked at after each call. Made by `make check` only.
# GNU make reads this file as it stands. The sanitized objects are FILE.s.o; the runtime is plain FILE.k.o.
#
# The linker script is the kernel's own with two places more: the list of constructors, by which the compiler names the
# redzones of globals, and the shadow of the other CPUs' stacks and the image, [-2 GiB, -2 GiB + 2 MiB), right behind
# that. Its address is what -fasan-shadow-offset stands for: shadow of ADDRESS = (ADDRESS >> 3) + offset.

checked_src = test/sanitize/address.c test/sanitize/undefined.c test/sanitize/hook.c test/lib/invariants.c test/lib/invariants_code.c test/lib/invariants_disk.c
checked_objects = $(call objects,s,$(exo_src) $(arch_$(ARCH)_src)) $(call k_objects,$(checked_src))
checked_sanitize = -fsanitize=kernel-address -fasan-shadow-offset=0xdfffffff901bc000 \
	--param asan-instrumentation-with-call-threshold=0 --param asan-stack=1 --param asan-globals=1 \
	-fsanitize=$(checked_undefined) -DEXO_DEBUG
# Not those that cost a record for each dereference and find nothing that the page tables would not: null, alignment.
checked_undefined = bounds,bounds-strict,shift,integer-divide-by-zero,signed-integer-overflow,bool,enum,unreachable,return,builtin
checked_stack = -DSTACK_BYTES=32768
checked_wrap = -Wl,--wrap=memcpy,--wrap=memmove,--wrap=memset,--wrap=arch_map_device,--wrap=frame_init
checked_ld = test/sanitize/kernel.ld

$(call k_objects,$(checked_src)): kernel_flags += -DEXO_DEBUG $(checked_stack)

%.s.o: %.c $(TARGET_MK) $(srcdir)/test/sanitize/checked.mk
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(kernel_flags) -Os $(checked_sanitize) $(checked_stack) -c -o $@ $<
%.s.o: %.S $(TARGET_MK) $(srcdir)/test/sanitize/checked.mk
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(kernel_flags) $(checked_stack) -D__ASSEMBLER__ -c -o $@ $<

$(checked_ld): $(kernel_ld) $(srcdir)/test/sanitize/checked.mk
	@mkdir -p $(@D)
	@sed -e 's/^\(\t*\)rodata_end = .;/\1.init_array : AT(ADDR(.init_array) - KERNEL_BASE) {\n\1\tconstructors_start = .;\n\1\tKEEP(*(.init_array .init_array.*))\n\1\tconstructors_end = .;\n\1} :rodata\n&/' \
		-e 's/^\(\t*\)pool_start = .;/\1. = ALIGN(0x40000) - 0x4000;\n\1shadow_start = .;\n\1. += 0x40000;\n&/' \
		-e 's/^\timage_end = .;/&\n\tASSERT(shadow_start == image_start + 0xbc000, "the shadow is not where it must be")/' \
		-e 's/\/DISCARD\/ : {/& *(.fini_array .fini_array.*)/' $(kernel_ld) >$@

exo/exo-checked.elf: $(checked_objects) $(checked_ld)
	@$(TARGET_CC) $(kernel_ldflags) $(checked_wrap) -Wl,-T,$(checked_ld) -o exo/names-checked.elf $(checked_objects)
	@{ echo '.section .symbols, "a"'; $(TARGET_NM) -n exo/names-checked.elf | \
		sed -n 's/^.*\(.\{8\}\) [tT] \([^ ]*\)$$/.long 0x\1; .asciz "\2"/p'; } >exo/names-checked.s
	@$(TARGET_CC) -c -o exo/names-checked.o exo/names-checked.s
	$(V_TLD)$(TARGET_CC) $(kernel_ldflags) $(checked_wrap) -Wl,-Map=$@.map -Wl,-T,$(checked_ld) -o $@ $(checked_objects) \
		exo/names-checked.o
	@rm -f exo/names-checked.elf
	$(call beside,$@)

checked_products = exo/exo-checked.elf $(patsubst %,exo/exo-checked.elf.%,map sym dis) exo/names-checked.s \
	exo/names-checked.o $(checked_ld) $(checked_objects)
target_products += $(checked_products)
-include $(patsubst %.o,%.d,$(checked_objects))
