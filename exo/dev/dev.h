/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What flows and drivers ask of each other, and what drivers share.
 *
 * A driver finds its device at boot (dev/device.c calls it), takes all its memory then, and afterwards only moves
 * frames: received ones to flow_receive(), sent ones as flow_ring.c composes them. A frame to send has a head, which
 * lies in a slot of the driver's, and parts in application frames, which the device reads by reference. All of a device
 * is under flow_lock, which its interrupts take, on whatever CPU they come.
 */
#ifndef EXO_DEV_DEV_H
#define EXO_DEV_DEV_H

#include "exo/flows.h"

struct device_part {
	paddr_t address;
	uint32_t bytes;
};

/* A frame to send, without its head: the transmit frames of a flow that go by reference. */
struct device_send {
	struct flow *flow;	/* told by flow_sent() when the device is done; never called if `parts` is 0 */
	uint32_t start, count;	/* its descriptors; count 0: a program's frame */
	uint32_t head_bytes;
	uint32_t cut;	/* lower half: bytes of its headers, and TCP's sum is wanted; upper half: of the segments that it is to
			 * be cut into, each below the headers, 0: it is one. All 0: it goes as it is. */
	uint32_t parts;
	struct device_part part[EXO_TX_PARTS_MAX];
};

struct device {
	unsigned index;			/* in info->device */
	struct exo_device_info *info;
	struct flow *root;
	struct flow *owner;		/* whose frames it receives into (EXO_FLOW_OWN); NULL: the kernel's */
	uint32_t own_slots;		/* that an owner may have; a power of two; 0: it cannot be owned */
	struct flow *waiting, **waiting_end;	/* flows that it had no room for, in turn; NULL: end of an empty list */
	/* Collect what was sent: flow_sent() for each; and flow_room() if there is room. Cost: the frames that came back. */
	void (*reclaim)(struct device *device);
	/* Room for a head of EXO_GUARD_BYTES, if a frame with so many parts can be sent now; else NULL. */
	uint8_t *(*head)(struct device *device, uint32_t parts);
	/* Queue the frame whose head was written to the room that head() gave last; or one that is no more than so many bytes there. */
	void (*send)(struct device *device, const struct device_send *frame);
	void (*send_head)(struct device *device, uint8_t *head, uint32_t bytes);
	/* Frames were queued: let the device look. */
	void (*notify)(struct device *device);
	/* Interrupt when frames come back, until none is on its way. */
	void (*watch)(struct device *device);
	/* There was more than one batch, so interrupts are off: go on when `due` has come / at once. */
	exo_time_t due;			/* EXO_NEVER: interrupts are on */
	bool hurried;			/* [a] an idle CPU is about to: the others need not; resume() clears it */
	void (*resume)(struct device *device);
	void (*hurry)(struct device *device);
	/* The flow's binding ends: pin the frames that are still on their way until they come back, and forget it; or only
	 * those that its program sent. */
	void (*orphan)(struct device *device, struct flow *flow, bool programs);
	/* It is reset soon, and receives for this owner then; NULL: into the kernel's frames. It is in none of the last owner's any
	 * more, or has pinned them until then. What was on its way out is lost. */
	void (*own)(struct device *device, struct flow *flow);
};

/* device.c: a line of info->device that is not used yet / a place for a new network device; NULL: there are enough. */
struct exo_device_info *device_entry(void);
struct device *device_add(struct device *device, const char *kind, const uint8_t address[6]);

/* pci.c */

#define PCI_BARS	6

struct pci {
	uint32_t bdf;
	uint16_t vendor, id;
	struct {
		paddr_t base;
		uint64_t bytes;		/* 0: none, or not memory */
		uint8_t *mapped;
	} bar[PCI_BARS];
};

/* Call `found` for each function on the buses that can be reached. */
void pci_scan(void (*found)(uint32_t bdf, uint16_t vendor, uint16_t id));
/* Size and place its windows, let it do DMA. false: one has no address and none is left. */
bool pci_enable(struct pci *pci, uint32_t bdf);
/* The configuration offset of the next capability of a kind behind `after` (0: from the start); 0: none. */
unsigned pci_capability(const struct pci *pci, uint8_t kind, unsigned after);
/* A stretch of a window, mapped; NULL if the window does not hold it. */
uint8_t *pci_window(struct pci *pci, unsigned bar, uint64_t offset, uint64_t bytes);
/* Route a message interrupt to a handler, on the CPU of the same number, or round from the first; its data word. false: the
 * device has no such one, or none is left. */
bool pci_message_interrupt(struct pci *pci, unsigned number, arch_irq_handler handler, void *arg, uint32_t *data);

/*
 * Drivers: make a device run that was found, enabled or opened, and is of the right kind. NULL: it runs; else what is
 * missing, for the line that says so.
 */
struct virtio;
const char *virtio_net_pci(struct pci *pci);
const char *virtio_net_mmio(const struct virtio *virtio, const struct arch_mmio_device *window);
const char *virtio_blk_pci(struct pci *pci);
const char *virtio_blk_mmio(const struct virtio *virtio, const struct arch_mmio_device *window);
const char *nvme_pci(struct pci *pci);

#endif
