/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer: any bytes as an executable; what is accepted must keep elf.h's promises. */
#include <stdlib.h>
#include <string.h>

#include "libos/core/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOW	0x400000
#define HIGH	0x800000

static void promises(const struct elf_image *image, const uint8_t *data, size_t size)
{
	uint64_t low = image->movable ? 0 : LOW, high = image->movable ? HIGH - LOW : HIGH;

	for (unsigned i = 0; i < image->count; i++) {
		const struct elf_segment *s = &image->segment[i];
		size_t bytes = (s->filesz + 7) & -8ull;
		char *copy = malloc(bytes + 1);

		if (s->offset + s->filesz > size || s->filesz > s->memsz || !s->memsz || s->vaddr < low ||
		    s->vaddr + s->memsz > high || (s->flags & 3) == 3 || !(s->flags & ELF_R) ||
		    (s->flags & ELF_RELRO && s->flags != (ELF_R | ELF_RELRO)) ||
		    (i && (s[-1].vaddr + s[-1].memsz + 4095) / 4096 > s->vaddr / 4096))
			abort();
		memset(copy, 0x5a, bytes + 1);
		elf_relocate(image, data, 0x1000, copy, s->vaddr & -8ull, bytes);
		for (size_t at = 0; at < bytes && !(s->flags & (ELF_W | ELF_RELRO)); at++)
			if (copy[at] != 0x5a)
				abort();
		free(copy);
	}
	if (image->align & (image->align - 1) || image->align < 4096 ||
	    image->relocs_at + image->relocs * 24ull > size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_symbol symbol;
	struct elf_image image;
	struct elf_abi abi;
	size_t bytes;

	if (elf_load(&image, data, size, LOW, HIGH) == ELF_OK)
		promises(&image, data, size);
	if (elf_extent(data, size, &bytes) == ELF_OK && bytes > size)
		abort();
	elf_abi(data, size, &abi);
	elf_symbol(data, size, 0x401000, &symbol);
	return 0;
}
