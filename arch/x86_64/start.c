/* SPDX-License-Identifier: BSD-2-Clause */
/* The port's part of the boot, in order; each step only needs those before it. Then the kernel proper. */
#include "arch/x86_64/port.h"

_Noreturn void start(unsigned loader, uint32_t record)
{
	console_start();
	memory_early();
	cpu_start(&cpu_first, 0);
	firmware_read(loader, record);
	memory_read();
	acpi_read();
	clock_start();
	apic_start();
	cpus_find();
	memory_finish();
	kernel_main();
}
