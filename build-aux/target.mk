# SPDX-License-Identifier: BSD-2-Clause
#
# How code for the guest is compiled and linked. GNU make reads this file as it stands; Automake does not see it.
#
# In:  exo_src, arch_$(ARCH)_src    sources of the kernel                                       -> exo/exo.elf
#      exo_strict_src                those in which every word is reached by one type only
#      exo_cold_src, arch_$(ARCH)_cold_src   those of them that are compiled for size: boot and last words
#      libcore_src, libuni_src ...  sources of the libraries                                    -> libos/...
#      uni_programs, NAME_src       programs linked with the libOS uni, and what NAME is made of -> apps/NAME/NAME.uni
#      guest_tests, guest_programs  test programs, of one source file each                       -> test/guest/NAME.uni
#      posix_programs, posix_tests, posix_test_programs   the same with the libOS posix          -> NAME.posix
#      variants                     further libOSes, each with lwIP with options of its own; for a variant V:
#        V_flags, V_ldflags         further flags of the compiler and the linker for all of these
#        libV_src, V_lwip_src       its library libos/V/libV.a and what it takes of lwIP, if anything (libos/V/port/lwipopts.h) -> libos/V/liblwip.a
#        V_programs, NAME_V_src     programs linked with it, and their sources, if they are not NAME_src -> apps/NAME/NAME.V
#        V_tests, V_test_programs   test programs, of one source file each                     -> test/guest/NAME.V
#      LINT_FLAGS                   further warnings (from the command line)
# Every image has .map (linker), .sym (addresses, sorted) and .dis (disassembly) beside it.
# Objects depend on this file: a changed flag compiles everything again.

SHELL = /bin/sh
TARGET_MK = $(srcdir)/build-aux/target.mk
V_TCC = $(V_TCC_$(V))
V_TCC_ = $(V_TCC_$(AM_DEFAULT_VERBOSITY))
V_TCC_0 = @printf '  %-8s %s\n' TCC $@;
V_TLD = $(V_TLD_$(V))
V_TLD_ = $(V_TLD_$(AM_DEFAULT_VERBOSITY))
V_TLD_0 = @printf '  %-8s %s\n' TLD $@;
V_TAR = $(V_TAR_$(V))
V_TAR_ = $(V_TAR_$(AM_DEFAULT_VERBOSITY))
V_TAR_0 = @printf '  %-8s %s\n' TAR $@;

common_flags = -std=gnu11 -g -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	-fno-omit-frame-pointer -fno-strict-aliasing -fno-common -Wall -Wextra $(WERROR) -ffile-prefix-map=$(srcdir)/= -MMD -MP

# Padding inside functions is code that is fetched and run for nothing, and a way to a section for rare code is a long
# jump; what runs at boot or in a panic is made small.
kernel_optimize = -O2 -falign-functions=1 -falign-jumps=1 -falign-loops=1 -falign-labels=1 \
	-fno-reorder-blocks-and-partition -Wno-ignored-optimization-argument
kernel_flags = $(common_flags) -fno-pic $(kernel_optimize) -ffreestanding -nostdlib -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fomit-frame-pointer \
	$(KERNEL_STACK_FLAG) \
	-nostdinc -isystem $(TARGET_INCLUDE) -I$(srcdir) -I$(srcdir)/include -I$(srcdir)/arch/$(ARCH) \
	-DEXO_VERSION='"$(PACKAGE_VERSION)"' $(LINT_FLAGS) $(TARGET_CFLAGS)

user_flags = $(common_flags) -fPIE -O2 -march=x86-64 -mtune=generic -ftls-model=local-exec -ffunction-sections -fdata-sections \
	-U__linux__ -U__linux -Ulinux -U__gnu_linux__ -D__exo__ \
	-nostdinc -I$(srcdir)/include -I$(srcdir) -I$(srcdir)/libos/include -I$(srcdir)/libos/net/port \
	-I$(THIRD)/lwip/src/include -isystem $(THIRD)/prefix/include -isystem $(TARGET_INCLUDE) \
	-DEXO_VERSION='"$(PACKAGE_VERSION)"' $(TARGET_CFLAGS)

# Objects of sources: $(call k_objects,LIST), $(call u_objects,LIST).
objects = $(patsubst %.c,%.$(1).o,$(patsubst %.S,%.$(1).o,$(filter %.c %.S,$(2))))
k_objects = $(call objects,k,$(1))
u_objects = $(call objects,u,$(1))
p_objects = $(call objects,p,$(1))

%.k.o: %.c $(TARGET_MK)
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(kernel_flags) -c -o $@ $<
%.k.o: %.S $(TARGET_MK)
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(kernel_flags) -D__ASSEMBLER__ -c -o $@ $<
%.u.o: %.c $(TARGET_MK) $(THIRD_STAMP)
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(user_flags) $(LINT_FLAGS) -c -o $@ $<
%.u.o: %.S $(TARGET_MK) $(THIRD_STAMP)
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(user_flags) -D__ASSEMBLER__ -c -o $@ $<

# What is linked with the libOS posix, or is it, sees its headers: FILE.p.o.
posix_include = -I$(srcdir)/libos/posix/include
%.p.o: %.c $(TARGET_MK) $(THIRD_STAMP)
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(posix_include) $(user_flags) $(LINT_FLAGS) -c -o $@ $<
%.p.o: %.S $(TARGET_MK) $(THIRD_STAMP)
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(user_flags) -D__ASSEMBLER__ -c -o $@ $<

# What is linked with a variant V sees its headers first, and lwIP as it has it: FILE.V.o.
define variant_rules
%.$(1).o: %.c $$(TARGET_MK) $$(THIRD_STAMP)
	@mkdir -p $$(@D)
	$$(V_TCC)$$(TARGET_CC) -I$$(srcdir)/libos/$(1)/include -I$$(srcdir)/libos/$(1)/port $$(user_flags) $$($(1)_flags) $$(LINT_FLAGS) \
		-c -o $$@ $$<
%.$(1).o: %.S $$(TARGET_MK) $$(THIRD_STAMP)
	@mkdir -p $$(@D)
	$$(V_TCC)$$(TARGET_CC) $$(user_flags) -D__ASSEMBLER__ -c -o $$@ $$<
endef
$(foreach v,$(variants),$(eval $(call variant_rules,$(v))))

# Programs that run in the kernel (exo/code.h). Their compiler knows eBPF and nothing of the machine.
%.bpf.o: %.bpf.c $(TARGET_MK)
	@mkdir -p $(@D)
	$(V_TCC)$(BPF_CC) -target bpf -mcpu=v3 -std=gnu11 -O2 -ffreestanding -nostdlibinc -Wall -Wextra $(WERROR) \
		-I$(srcdir)/include -I$(srcdir) -MMD -MP -c -o $@ $<

# $(call beside,IMAGE): the files beside a linked image.
define beside
	@$(TARGET_NM) -n $(1) >$(1).sym
	@$(TARGET_OBJDUMP) -d $(1) >$(1).dis
endef

%.sym %.map %.dis: % ;

# The kernel.
kernel_ld = $(srcdir)/arch/$(ARCH)/kernel.ld
kernel_objects = $(call k_objects,$(exo_src) $(arch_$(ARCH)_src))
$(call k_objects,$(exo_cold_src) $(arch_$(ARCH)_cold_src)): kernel_optimize = $(KERNEL_SMALL_FLAGS)
$(call k_objects,$(exo_strict_src)): kernel_flags += -fstrict-aliasing
kernel_ldflags = -static -nostdlib -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	-Wl,--no-warn-rwx-segments

# Linked twice: the first link gives the names and addresses that the kernel prints in a backtrace. They lie behind the
# code, so they do not move it.
exo/exo.elf: $(kernel_objects) $(kernel_ld)
	@$(TARGET_CC) $(kernel_ldflags) -Wl,-T,$(kernel_ld) -o exo/names.elf $(kernel_objects)
	@{ echo '.section .symbols, "a"'; $(TARGET_NM) -n exo/names.elf | \
		sed -n 's/^.*\(.\{8\}\) [tT] \([^ ]*\)$$/.long 0x\1; .asciz "\2"/p'; } >exo/names.s
	@$(TARGET_CC) -c -o exo/names.o exo/names.s
	$(V_TLD)$(TARGET_CC) $(kernel_ldflags) -Wl,-Map=$@.map -Wl,-T,$(kernel_ld) -o $@ $(kernel_objects) exo/names.o
	@rm -f exo/names.elf
	$(call beside,$@)
MOSTLYCLEANFILES += exo/names.s exo/names.o

# Libraries.
define library_of
$(1): $(2) $$(TARGET_MK)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(V_TAR)$$(TARGET_AR) rcs $$@ $(2)
all_user_objects += $(2)
endef
library = $(call library_of,$(1),$(call u_objects,$(2)))
$(eval $(call library,libos/core/libcore.a,$(libcore_src) $(libfs_src) $(libdisk_src) $(libdev_src)))
$(eval $(call library,libos/uni/libuni.a,$(libuni_src) $(libnet_src)))
$(eval $(call library,libos/uni/libkinds-all.a,libos/uni/kinds_all.c))
$(eval $(call library,libos/uni/libkinds-weak.a,libos/uni/kinds_weak.c))
$(eval $(call library,libos/keep/libkeep.a,$(libkeep_src)))
$(eval $(call library_of,libos/posix/libposix.a,$(call p_objects,$(libposix_src) $(libposix_uni_src))))

# What libposix has, the C library need not have too: an archive's members come as a whole, and the linker would find
# the same function twice where a member has one that libposix has and one that it has not. What libposix calls of a
# function that it stands before has a name of its own.
posix_renamed = acoshl aligned_alloc asin asinf asinh asinhf asinl atan atan2 atan2f atan2l atanh atanhf atanhl atanl cosl \
	erf erfc erfl exp exp2 expf expl expm1 expm1f expm1l fputs fread fwrite gmtime_r j1 localtime_r log10l log1p log1pf log2l logl \
	memalign mktime newlocale nextafter nextafterf nexttoward nexttowardf nl_langinfo nl_langinfo_l \
	pow powf regcomp regexec regfree remquol setlocale sin sinh sinhl sinl tan tanhl tanl timegm tzset
libos/posix/libc.a: libos/posix/libposix.a $(THIRD_STAMP) $(TARGET_MK)
	@$(TARGET_OBJCOPY) $(foreach f,$(posix_renamed),--redefine-sym $(f)=posix_libc_$(f)) $(THIRD)/prefix/lib/libc.a $@.part
	@$(TARGET_NM) -g --defined-only libos/posix/libposix.a | awk 'NF == 3 { print $$3 }' | sort -u >$@.names
	@$(TARGET_NM) -A -g --defined-only $@.part | awk 'FILENAME != "-" { has[$$1] = 1; next } \
		$$3 in has { n = split($$1, part, ":"); print part[n - 1] }' $@.names - | sort -u >$@.out
	$(V_TAR)xargs $(TARGET_AR) ds $@.part <$@.out && mv $@.part $@
MOSTLYCLEANFILES += libos/posix/libc.a.names libos/posix/libc.a.out

# The libraries that programs of others are linked with (exo-cc --libos=posix): the same code, in which a name that no header
# of POSIX' or the C library's mentions begins with __exo_. So a program may call what is its own as it likes, and neither
# fails to link nor has the libOS call it instead. The linker script and exo-gdb know those of program_keeps.
program_headers = $(srcdir)/libos/posix/include $(srcdir)/libos/include $(srcdir)/include $(THIRD)/prefix/include
program_keeps = core_main core_parked posix_note
libos/posix/program/names: libos/posix/libposix.a libos/posix/libc.a libos/core/libcore.a $(libposix_include:%=$(srcdir)/%) $(TARGET_MK)
	@mkdir -p $(@D)
	@find $(program_headers) -name '*.h' -exec cat {} + | LC_ALL=C tr -cs 'A-Za-z0-9_' '\n' | LC_ALL=C sort -u >$@.said
	$(AM_V_GEN)$(TARGET_NM) -g --defined-only $(filter %.a,$^) | awk 'NF == 3 && $$3 !~ /^_/ { print $$3 }' | LC_ALL=C sort -u | \
		LC_ALL=C comm -23 - $@.said | awk -v 'keeps= $(program_keeps) ' 'index(keeps, " " $$1 " ") == 0 { print $$1, "__exo_" $$1 }' \
		>$@.part && mv $@.part $@
define program_library
libos/posix/program/$(notdir $(1)): $(2) libos/posix/program/names
	$$(V_TAR)$$(TARGET_OBJCOPY) --redefine-syms=libos/posix/program/names $(1) $$@.part && mv $$@.part $$@
endef
$(foreach l,libos/posix/libposix.a libos/posix/libc.a libos/core/libcore.a,$(eval $(call program_library,$(l),$(l))))
$(eval $(call program_library,$(THIRD)/prefix/lib/libm.a,$(THIRD_STAMP)))
MOSTLYCLEANFILES += libos/posix/program/names libos/posix/program/names.said

# Fault handlers run with the program's FPU registers live.
$(call u_objects,$(libcore_src)): user_flags += -mgeneral-regs-only

# A keeper says what processes read: struct stat, sockaddr and so on are theirs.
$(call u_objects,$(libkeep_src) $(keeper_src)): user_flags := $(posix_include) $(user_flags)

# Downloaded code in a program of the machine's: the engine's exo/bpf.h, not the one for programs of its.
$(call u_objects,$(bpf_vm_src) test/guest/bpf_isa.c test/guest/bpf_random.c): user_flags := -I$(srcdir) $(user_flags)

# lwIP: the sources stay where they were unpacked, unmodified; the objects are ours.
lwip_objects = $(lwip_src:%.c=libos/net/lwip/%.u.o)
$(lwip_objects): libos/net/lwip/%.u.o: $(srcdir)/libos/net/port/lwipopts.h $(TARGET_MK) $(THIRD_STAMP)
	@mkdir -p $(@D)
	$(V_TCC)$(TARGET_CC) $(user_flags) -Wno-error $(lwip_flags) -c -o $@ $(THIRD)/lwip/src/$*.c
libos/net/lwip/core/tcp_out.u.o: lwip_flags += $(lwip_out_flags)
libos/net/liblwip.a: $(lwip_objects)
	@rm -f $@
	$(V_TAR)$(TARGET_AR) rcs $@ $(lwip_objects)
all_user_objects += $(lwip_objects)

# The same for a variant, and its library.
define variant_libraries
$(1)_lwip_objects = $$($(1)_lwip_src:%.c=libos/$(1)/lwip/%.$(1).o)
$$($(1)_lwip_objects): libos/$(1)/lwip/%.$(1).o: $$(srcdir)/libos/$(1)/port/lwipopts.h $$(srcdir)/libos/net/port/lwipopts.h \
		$$(TARGET_MK) $$(THIRD_STAMP)
	@mkdir -p $$(@D)
	$$(V_TCC)$$(TARGET_CC) -I$$(srcdir)/libos/$(1)/port $$(user_flags) $$($(1)_flags) -Wno-error $$(lwip_flags) \
		-c -o $$@ $$(THIRD)/lwip/src/$$*.c
$$(if $$($(1)_lwip_src),$$(eval $$(call library_of,libos/$(1)/liblwip.a,$$($(1)_lwip_objects))))
$$(eval $$(call library_of,libos/$(1)/lib$(1).a,$$(call objects,$(1),$$(lib$(1)_src))))
$(1)_libraries = libos/$(1)/lib$(1).a $$(if $$($(1)_lwip_src),libos/$(1)/liblwip.a) libos/uni/libkinds-all.a $$(core_libraries)
endef

# Programs.
c_library = $(THIRD)/prefix/lib/libc.a $(THIRD)/prefix/lib/libm.a $(TARGET_LIBGCC)
core_libraries = libos/core/libcore.a
$(foreach v,$(variants),$(eval $(call variant_libraries,$(v))))
keep_libraries = libos/keep/libkeep.a
posix_libraries = libos/posix/libposix.a libos/posix/libc.a $(core_libraries)
posix_c_library = $(filter-out %/libc.a,$(c_library))
uni_libraries = libos/uni/libuni.a libos/uni/libkinds-all.a libos/net/liblwip.a $(core_libraries)
comma = ,
user_ld = $(srcdir)/libos/core/user.ld
user_ldflags = -nostdlib -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,-z,separate-code -Wl,-z,relro -Wl,-z,now -Wl,--no-warn-rwx-segments -Wl,-e,_start \
	-Wl,-T,$(user_ld)

fixed_kind = -static -Wl$(comma)-Ttext-segment=0x400000

# $(call program,IMAGE,SOURCES,LIBRARIES,KIND,C,FLAGS): KIND is -static-pie or $(fixed_kind), C names the C library's variable,
# FLAGS are the linker's that come last
define program_of
$(1): $(2) $(3) $$(user_ld) $$(TARGET_MK)
	@mkdir -p $$(@D)
	$$(V_TLD)$$(TARGET_CC) $(4) $$(user_ldflags) $(6) -Wl,-Map=$$@.map -o $$@ $(2) \
		-Wl,--start-group $(3) $$($(or $(5),c_library)) -Wl,--end-group
	$$(call beside,$$@)
all_user_objects += $(2)
endef
program = $(call program_of,$(1),$(call u_objects,$(2)),$(3),$(4))
posix_program = $(call program_of,$(1),$(call p_objects,$(2)),$(posix_libraries),-static-pie,posix_c_library)
$(eval $(call program,apps/init/init.elf,$(init_src),$(core_libraries),$(fixed_kind)))
$(foreach p,$(uni_programs),$(eval $(call program,apps/$(p)/$(p).uni,$($(subst -,_,$(p))_src),$($(p)_libraries) $(uni_libraries),-static-pie)))
$(foreach p,$(posix_programs),$(eval $(call posix_program,apps/$(p)/$(p).posix,$(or $($(subst -,_,$(p))_posix_src),$($(subst -,_,$(p))_src)))))
$(foreach t,$(posix_tests) $(posix_test_programs),$(eval $(call posix_program,$(t),$(t:.posix=.c))))
# A program of a variant may have sources of its own: NAME_V_src.
define variant_programs
$$(foreach p,$$($(1)_programs),$$(eval $$(call program_of,apps/$$(p)/$$(p).$(1),\
	$$(call objects,$(1),$$(or $$($$(subst -,_,$$(p))_$(1)_src),$$($$(subst -,_,$$(p))_src))),$$($(1)_libraries),-static-pie,,$$($(1)_ldflags))))
$$(foreach t,$$($(1)_tests) $$($(1)_test_programs),$$(eval $$(call program_of,$$(t),\
	$$(call objects,$(1),$$(t:.$(1)=.c)),$$($(1)_libraries),-static-pie,,$$($(1)_ldflags))))
variant_images += $$(foreach p,$$($(1)_programs),apps/$$(p)/$$(p).$(1)) $$($(1)_tests) $$($(1)_test_programs)
variant_archives += $$($(1)_libraries)
endef
$(foreach v,$(variants),$(eval $(call variant_programs,$(v))))
# Tests that the kernel itself loads have a fixed address, as init has; and so have those that share their addresses
# with environments of their own making (tiny.h).
fixed_tests := $(patsubst $(srcdir)/%.c,%.uni,$(shell grep -El 'Runs first: yes|"(test/guest/)?(tiny|agent).h"' \
	$(srcdir)/test/guest/*.c))
$(eval $(call library,test/fs/libguest.a,$(fs_guest_src)))
fs_work_libraries = test/fs/libguest.a
$(foreach t,$(guest_tests) $(guest_programs),$(eval $(call program,$(t),$(t:.uni=.c),\
	$($(basename $(notdir $(t)))_libraries) $(uni_libraries),\
	$(if $(filter $(t),$(fixed_tests)),$(fixed_kind),-static-pie))))

images = exo/exo.elf apps/init/init.elf $(uni_images) $(posix_images) $(guest_tests) $(guest_programs) \
	$(posix_tests) $(posix_test_programs) $(variant_images)
target_products = $(sort $(images) libos/uni/libkinds-weak.a $(foreach i,$(images),$(i).map $(i).sym $(i).dis) $(core_libraries) $(uni_libraries) \
	$(keep_libraries) $(posix_libraries) $(program_libraries) $(variant_archives) $(kernel_objects) $(all_user_objects) $(bpf_src:.c=.o) \
	$(bpf_test_src:.c=.o) test/fs/libguest.a)

# The same program for Linux: the host's compiler and C library, over libos/conn/conn_poll.c.
define linux_program
apps/$(1)/$(1).linux: $(addprefix $(srcdir)/,$(sort $($(subst -,_,$(1))_src) $(libconn_poll_src) libos/core/nearest.c) $(apps_headers) $(libconn_headers))
	@mkdir -p $$(@D)
	$$(AM_V_CCLD)$$(CC) -std=gnu11 -O2 -Wall -Wextra $$(WERROR) -static -DEXO_VERSION='"$$(PACKAGE_VERSION)"' -I$$(srcdir)/include -I$$(srcdir) -o $$@ $$(filter %.c,$$^)
MOSTLYCLEANFILES += apps/$(1)/$(1).linux
endef
$(foreach p,$(linux_programs),$(eval $(call linux_program,$(p))))

# Which functions each source file of the libraries gives: exo compare reads from a program's symbols which blocks it has.
block_objects = $(sort $(filter libos/%,$(all_user_objects)))
tools/blocks.tsv: $(block_objects) $(TARGET_MK)
	@mkdir -p $(@D)
	$(AM_V_GEN)$(TARGET_NM) -A -g --defined-only $(block_objects) | \
		sed -n 's/^\([^:]*\)\.[a-z]*\.o:[0-9a-f]* [TW] \(.*\)/\1 \2/p' | LC_ALL=C sort -u | \
		awk '$$1 != file { printf "%s%s\t%s", file ? "\n" : "", $$1, $$2; file = $$1; next } { printf " %s", $$2 } \
			END { print "" }' >$@.part && mv $@.part $@
target_products += tools/blocks.tsv

# A failed test's log is shown at the end, with what the guest said last.
VERBOSE ?= 1
export VERBOSE

-include $(patsubst %.o,%.d,$(filter %.o,$(target_products)))
