/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to addresses (POSIX.1-2017) by their plain names: lwIP's, for all variants whose sockets are over lwIP. A name, unlike an
 * address, is asked of a server, so the machine must have an address of its own first.
 */
#include <netdb.h>
#include "libos/net/names.h"

/* A name, unlike an address, is asked of a server. */
static bool resolvable(const char *node)
{
	ip4_addr_t address;

	if (names_start())
		return false;
	return !node || ip4addr_aton(node, &address) || names_addressed();
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	return resolvable(node) ? lwip_getaddrinfo(node, service, hints, result) : EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *result)
{
	lwip_freeaddrinfo(result);
}

const char *gai_strerror(int error)
{
	switch (error) {
	case 0:
		return "no error";
	case EAI_NONAME:
		return "there is no such host or service";
	case EAI_SERVICE:
		return "there is no such service";
	case EAI_FAMILY:
		return "this family of addresses is not supported";
	case EAI_MEMORY:
		return "out of memory";
	default:
		return "no name server answers";
	}
}

struct hostent *gethostbyname(const char *name)
{
	return resolvable(name) ? lwip_gethostbyname(name) : NULL;
}
