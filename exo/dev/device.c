/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices: which driver is for which, and the exposed table, filled at boot by the drivers that find theirs.
 *
 * A network device is what the kernel needs to multiplex it: its root flow, its line in the table, and the few operations
 * of dev.h; those are listed here. Disks stand in the same table, and are listed in exo/disk.c.
 */
#include "exo/disks.h"
#include "exo/dev/virtio.h"

#define VENDOR_VIRTIO		0x1af4
#define PCI_PROGRAMMING		0x09
#define PROGRAMMING_NVME	2
#define PCI_CLASS		0x0a
#define CLASS_NVME		0x0108

static struct device *devices[EXO_DEVICES_MAX];
static unsigned device_count;

struct exo_device_info *device_entry(void)
{
	for (unsigned i = 0; i < EXO_DEVICES_MAX; i++)
		if (!info->device[i].kind)
			return &info->device[i];
	return NULL;
}

struct device *device_add(struct device *device, const char *kind, const uint8_t address[6])
{
	struct exo_device_info *entry = device_entry();

	if (!entry)
		return NULL;
	device->index = (unsigned)(entry - info->device);
	device->due = EXO_NEVER;
	device->info = entry;
	__builtin_memcpy(entry->name, kind, 3);
	entry->name[3] = (char)('0' + device_count);
	__builtin_memcpy(entry->address, address, 6);
	flow_make_root(device);
	entry->kind = 1;
	devices[device_count++] = device;
	return device;
}

exo_pfn_t flow_root(unsigned device)
{
	return device < device_count ? devices[device]->root->self : 0;
}

void device_timer(exo_time_t now)
{
	disk_timer(now);
	for (unsigned i = 0; i < device_count; i++) {
		if (read_once(devices[i]->due) == EXO_NEVER)
			continue;
		spin_lock(&flow_lock);
		if (now >= devices[i]->due)
			devices[i]->resume(devices[i]);
		else if (devices[i]->due != EXO_NEVER)
			cpu_timer_need(devices[i]->due);
		spin_unlock(&flow_lock);
	}
}

void device_idle(void)
{
	for (unsigned i = 0; i < device_count; i++) {
		if (read_once(devices[i]->due) != EXO_NEVER &&
		    !__atomic_exchange_n(&devices[i]->hurried, true, __ATOMIC_RELAXED))
			devices[i]->hurry(devices[i]);
	}
}

/* --- finding them --- */

static const struct kind {
	const char *what;
	uint16_t old_id, id;	/* of virtio's on PCI; the old one also speaks the modern interface */
	uint32_t number;	/* of virtio's on a memory-mapped window */
	const char *(*start_pci)(struct pci *pci);
	const char *(*start_mmio)(const struct virtio *virtio, const struct arch_mmio_device *window);
} kinds[] = {
	{ "network device", 0x1000, 0x1041, 1, virtio_net_pci, virtio_net_mmio },
	{ "disk", 0x1001, 0x1042, 2, virtio_blk_pci, virtio_blk_mmio },
	{ "disk", 0, 0, 0, nvme_pci, NULL },
};
#define KIND_NVME		2

static void pci_found(uint32_t bdf, uint16_t vendor, uint16_t id)
{
	const struct kind *kind = NULL;
	const char *missing = "there is no address left for its windows";
	struct pci pci;

	if (arch_pci_read(bdf, PCI_PROGRAMMING, 1) == PROGRAMMING_NVME && arch_pci_read(bdf, PCI_CLASS, 2) == CLASS_NVME)
		kind = &kinds[KIND_NVME];
	for (unsigned i = 0; i < KIND_NVME; i++) {
		if (vendor == VENDOR_VIRTIO && (id == kinds[i].id || id == kinds[i].old_id))
			kind = &kinds[i];
	}
	if (!kind)
		return;
	if (pci_enable(&pci, bdf))
		missing = kind->start_pci(&pci);
	if (missing)
		kprintf("%s at PCI %02x:%02x.%x is left out: %s\n", kind->what, bdf >> 8, bdf >> 3 & 31, bdf & 7, missing);
}

static void mmio_found(const struct arch_mmio_device *window)
{
	struct virtio virtio;
	uint32_t version, number = virtio_open_mmio(&virtio, window, &version);
	const char *missing;

	for (unsigned i = 0; i < KIND_NVME; i++) {
		if (number != kinds[i].number)
			continue;
		missing = version == 2 ? kinds[i].start_mmio(&virtio, window) :
		    "it speaks only the old interface (give QEMU -global virtio-mmio.force-legacy=false)";
		if (missing)
			kprintf("%s at %lx is left out: %s\n", kinds[i].what, (unsigned long)window->base, missing);
	}
}

void device_init(void)
{
	struct arch_mmio_device window;

	if (arch_pci_present())
		pci_scan(pci_found);
	for (unsigned i = 0; arch_virtio_mmio(i, &window); i++)
		mmio_found(&window);
}
