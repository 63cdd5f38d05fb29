/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network interfaces: their names, addresses, and the requests of ioctl about them.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "libos/posix/call.h"
#include "libos/posix/interfaces.h"

#define INTERFACES_MAX	8

static unsigned interfaces(struct wire_interface list[INTERFACES_MAX])
{
	int64_t count;

	posix_lock();
	count = posix_ask(REQUEST_INTERFACES, 0, 0, 0, NULL);
	if (count > INTERFACES_MAX)
		count = INTERFACES_MAX;
	if (count > 0)
		memcpy(list, posix_buffer, (size_t)count * sizeof(list[0]));
	posix_unlock();
	return count > 0 ? (unsigned)count : 0;
}

static struct sockaddr_in in_of(uint32_t address)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = address };
}

/* --- names ---------------------------------------------------------------------------------------------------- */

unsigned if_nametoindex(const char *name)
{
	struct wire_interface list[INTERFACES_MAX];
	unsigned count = interfaces(list);

	for (unsigned i = 0; i < count; i++) {
		if (!strncmp(list[i].name, name, IF_NAMESIZE))
			return list[i].index;
	}
	errno = ENODEV;
	return 0;
}

char *if_indextoname(unsigned index, char *name)
{
	struct wire_interface list[INTERFACES_MAX];
	unsigned count = interfaces(list);

	for (unsigned i = 0; i < count; i++) {
		if (list[i].index == index)
			return memcpy(name, list[i].name, IF_NAMESIZE);
	}
	errno = ENXIO;
	return NULL;
}

struct if_nameindex *if_nameindex(void)
{
	struct wire_interface list[INTERFACES_MAX];
	unsigned count = interfaces(list);
	struct if_nameindex *index = calloc(1, (count + 1) * sizeof(*index) + count * IF_NAMESIZE);
	char *names = index ? (char *)(index + count + 1) : NULL;

	if (!index) {
		errno = ENOBUFS;
		return NULL;
	}
	for (unsigned i = 0; i < count; i++) {
		index[i].if_index = list[i].index;
		index[i].if_name = memcpy(names + i * IF_NAMESIZE, list[i].name, IF_NAMESIZE);
	}
	return index;
}

void if_freenameindex(struct if_nameindex *list)
{
	free(list);
}

/* --- addresses ------------------------------------------------------------------------------------------------ */

struct entry {
	struct ifaddrs face;	/* first */
	char name[IF_NAMESIZE];
	struct sockaddr_in address, mask, broadcast;
};

int getifaddrs(struct ifaddrs **list)
{
	struct wire_interface known[INTERFACES_MAX];
	unsigned count = interfaces(known);
	struct entry *all = calloc(count + !count, sizeof(*all));

	if (!all) {
		errno = ENOMEM;
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		struct entry *one = &all[i];

		memcpy(one->name, known[i].name, sizeof(one->name));
		one->address = in_of(known[i].address);
		one->mask = in_of(known[i].mask);
		one->broadcast = in_of(known[i].broadcast);
		one->face = (struct ifaddrs){
			.ifa_next = i + 1 < count ? &all[i + 1].face : NULL, .ifa_name = one->name,
				.ifa_flags = known[i].flags,
			.ifa_addr = (struct sockaddr *)&one->address, .ifa_netmask = (struct sockaddr *)&one->mask,
		};
		if (known[i].flags & IFF_BROADCAST)
			one->face.ifa_broadaddr = (struct sockaddr *)&one->broadcast;
	}
	*list = count ? &all->face : NULL;
	if (!count)
		free(all);
	return 0;
}

void freeifaddrs(struct ifaddrs *list)
{
	free(list);
}

/* --- ioctl ---------------------------------------------------------------------------------------------------- */

static int configuration(struct ifconf *ask)
{
	struct wire_interface list[INTERFACES_MAX];
	unsigned count = interfaces(list), room = ask->ifc_len < 0 ? 0 :
		(unsigned)ask->ifc_len / sizeof(struct ifreq), i;

	for (i = 0; i < count && i < room && ask->ifc_req; i++) {
		struct sockaddr_in address = in_of(list[i].address);

		memset(&ask->ifc_req[i], 0, sizeof(struct ifreq));
		memcpy(ask->ifc_req[i].ifr_name, list[i].name, IFNAMSIZ);
		memcpy(&ask->ifc_req[i].ifr_addr, &address, sizeof(address));
	}
	ask->ifc_len = (int)((ask->ifc_req ? i : count) * sizeof(struct ifreq));
	return 0;
}

static int tell(const struct wire_interface *one, unsigned long request, struct ifreq *ask)
{
	struct sockaddr_in address;

	switch (request) {
	case SIOCGIFNAME: memcpy(ask->ifr_name, one->name, IFNAMSIZ); return 0;
	case SIOCGIFINDEX: ask->ifr_ifindex = (int)one->index; return 0;
	case SIOCGIFFLAGS: ask->ifr_flags = (short)one->flags; return 0;
	case SIOCGIFMTU: ask->ifr_mtu = (int)one->mtu; return 0;
	case SIOCGIFMETRIC: ask->ifr_metric = 0; return 0;
	case SIOCGIFADDR: address = in_of(one->address); break;
	case SIOCGIFNETMASK: address = in_of(one->mask); break;
	case SIOCGIFBRDADDR: address = in_of(one->broadcast); break;
	default:
		memset(&ask->ifr_hwaddr, 0, sizeof(ask->ifr_hwaddr));
		ask->ifr_hwaddr.sa_family = one->flags & IFF_LOOPBACK ? 772 : 1;	/* ARPHRD_* */
		memcpy(ask->ifr_hwaddr.sa_data, one->mac, 6);
		return 0;
	}
	memcpy(&ask->ifr_addr, &address, sizeof(address));
	return 0;
}

bool posix_interface_ioctl(unsigned long request, void *argument, int *result)
{
	struct wire_interface list[INTERFACES_MAX];
	struct ifreq *ask = argument;
	unsigned count, i;

	if (request < SIOCGIFNAME || request > SIOCGIFINDEX)
		return false;
	*result = -ENODEV;
	if (request == SIOCGIFCONF) {
		*result = configuration(argument);
		return true;
	}
	count = interfaces(list);
	for (i = 0; i < count && (request == SIOCGIFNAME ? (unsigned)ask->ifr_ifindex != list[i].index :
	    strncmp(list[i].name, ask->ifr_name, IFNAMSIZ)); i++)
		;
	if (i < count)
		*result = tell(&list[i], request, ask);
	return true;
}
