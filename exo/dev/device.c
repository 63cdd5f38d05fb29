/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network devices: a fixed table, filled at boot by the drivers that find theirs.
 *
 * A device is what the kernel needs to multiplex it: its root flow, its line in the exposed table, and the few
 * operations of dev.h. There is no other device yet that must be multiplexed.
 */
#include "exo/dev/dev.h"

#define VENDOR_VIRTIO		0x1af4
#define VIRTIO_NET_OLD_ID	0x1000	/* a device that also speaks the modern interface */
#define VIRTIO_NET_ID		0x1041

static struct device *devices[EXO_DEVICES_MAX];
static unsigned device_count;

struct device *device_add(struct device *device, const char *kind, const uint8_t address[6])
{
	struct exo_device_info *entry;

	if (device_count == EXO_DEVICES_MAX)
		return NULL;
	device->index = device_count;
	device->due = EXO_NEVER;
	device->info = entry = &info->device[device_count];
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

static void pci_found(uint32_t bdf, uint16_t vendor, uint16_t id)
{
	if (vendor == VENDOR_VIRTIO && (id == VIRTIO_NET_ID || id == VIRTIO_NET_OLD_ID))
		virtio_net_pci(bdf);
}

void device_init(void)
{
	struct arch_mmio_device window;

	if (arch_pci_present())
		pci_scan(pci_found);
	for (unsigned i = 0; arch_virtio_mmio(i, &window); i++)
		virtio_net_mmio(&window);
}
