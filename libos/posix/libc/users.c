/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Users and groups, from /etc/passwd and /etc/group. Where these files are missing there is root, and nobody
 * else.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE		1024
#define MEMBERS		64

static const char only_user[] = "root:x:0:0:root:/:/bin/sh";
static const char only_group[] = "root:x:0:root";

/* One pass over a file of lines, or over the one line that stands for it. */
struct pass {
	FILE *file;
	const char *only;		/* still to be given */
};

static void begin(struct pass *pass, const char *path, const char *only)
{
	pass->file = fopen(path, "re");
	pass->only = pass->file ? NULL : only;
}

static void end(struct pass *pass)
{
	if (pass->file)
		fclose(pass->file);
	*pass = (struct pass){ 0 };
}

/* The next line, without its end; false: there are no more. ERANGE in *error: it does not fit. */
static bool next_line(struct pass *pass, char *line, size_t bytes, int *error)
{
	size_t length;

	*error = 0;
	if (pass->only) {
		length = strlen(pass->only);
		if (length >= bytes) {
			*error = ERANGE;
			return false;
		}
		memcpy(line, pass->only, length + 1);
		pass->only = NULL;
		return true;
	}
	if (!pass->file || bytes < 2 || !fgets(line, (int)bytes, pass->file)) {
		*error = bytes < 2 ? ERANGE : 0;
		return false;
	}
	length = strlen(line);
	if (length && line[length - 1] == '\n') {
		line[length - 1] = '\0';
		return true;
	}
	if (feof(pass->file))
		return true;
	*error = ERANGE;
	return false;
}

/* Cut a line at its colons; false: there are not that many fields. */
static bool fields(char *line, char *field[], unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		field[i] = line;
		line = strchr(line, ':');
		if (!line)
			return i + 1 == count;
		*line++ = '\0';
	}
	return true;
}

static bool number(const char *text, uint32_t *value)
{
	char *rest;
	unsigned long parsed = strtoul(text, &rest, 10);

	*value = (uint32_t)parsed;
	return *text && !*rest && parsed < UINT32_MAX;
}

/* --- users ---------------------------------------------------------------------------------------------- */

static bool parse_user(char *line, struct passwd *user)
{
	char *field[7];
	uint32_t uid, gid;

	if (!fields(line, field, 7) || !*field[0] || !number(field[2], &uid) || !number(field[3], &gid))
		return false;
	*user = (struct passwd){ .pw_name = field[0], .pw_passwd = field[1], .pw_uid = uid, .pw_gid = gid,
		.pw_comment = field[4], .pw_gecos = field[4], .pw_dir = field[5], .pw_shell = field[6] };
	return true;
}

static int find_user(const char *name, uid_t uid, struct passwd *user, char *buffer, size_t bytes,
		     struct passwd **out)
{
	struct pass pass;
	int error;

	*out = NULL;
	begin(&pass, "/etc/passwd", only_user);
	while (!*out && next_line(&pass, buffer, bytes, &error))
		if (parse_user(buffer, user) && (name ? !strcmp(user->pw_name, name) : user->pw_uid == uid))
			*out = user;
	end(&pass);
	return *out ? 0 : error;
}

int getpwnam_r(const char *name, struct passwd *user, char *buffer, size_t bytes, struct passwd **out)
{
	return find_user(name, 0, user, buffer, bytes, out);
}

int getpwuid_r(uid_t uid, struct passwd *user, char *buffer, size_t bytes, struct passwd **out)
{
	return find_user(NULL, uid, user, buffer, bytes, out);
}

static struct passwd own_user;
static char own_user_line[LINE];

static struct passwd *told_user(int error, struct passwd *user)
{
	if (error)
		errno = error;
	return user;
}

struct passwd *getpwnam(const char *name)
{
	struct passwd *user;
	int error = find_user(name, 0, &own_user, own_user_line, LINE, &user);

	return told_user(error, user);
}

struct passwd *getpwuid(uid_t uid)
{
	struct passwd *user;
	int error = find_user(NULL, uid, &own_user, own_user_line, LINE, &user);

	return told_user(error, user);
}

static struct pass users;
static bool users_begun;

void setpwent(void)
{
	end(&users);
	begin(&users, "/etc/passwd", only_user);
	users_begun = true;
}

void endpwent(void)
{
	end(&users);
	users_begun = false;
}

/* BSD's: nothing is kept open that was not before. */
int setpassent(int stays)
{
	(void)stays;
	setpwent();
	return 1;
}

struct passwd *getpwent(void)
{
	int error;

	if (!users_begun)
		setpwent();
	while (next_line(&users, own_user_line, LINE, &error))
		if (parse_user(own_user_line, &own_user))
			return &own_user;
	return told_user(error, NULL);
}

/* --- groups --------------------------------------------------------------------------------------------- */

/* `members` has room for `most` names and the NULL. */
static bool parse_group(char *line, struct group *group, char **members, size_t most)
{
	char *field[4], *rest = NULL, *name;
	uint32_t gid;
	size_t count = 0;

	if (!fields(line, field, 4) || !*field[0] || !number(field[2], &gid))
		return false;
	for (name = strtok_r(field[3], ",", &rest); name && count < most; name = strtok_r(NULL, ",", &rest))
		members[count++] = name;
	members[count] = NULL;
	*group = (struct group){ .gr_name = field[0], .gr_passwd = field[1], .gr_gid = gid, .gr_mem = members };
	return true;
}

/* The first part of the buffer is for the members. */
static int find_group(const char *name, gid_t gid, struct group *group, char *buffer, size_t bytes,
		      struct group **out)
{
	size_t skip = (sizeof(char *) - (uintptr_t)buffer % sizeof(char *)) % sizeof(char *);
	size_t most = bytes / 4 / sizeof(char *), taken = skip + most * sizeof(char *);
	char **members = (char **)(buffer + skip);
	struct pass pass;
	int error;

	*out = NULL;
	if (most < 2)
		return ERANGE;
	begin(&pass, "/etc/group", only_group);
	while (!*out && next_line(&pass, buffer + taken, bytes - taken, &error))
		if (parse_group(buffer + taken, group, members, most - 1) &&
		    (name ? !strcmp(group->gr_name, name) : group->gr_gid == gid))
			*out = group;
	end(&pass);
	return *out ? 0 : error;
}

int getgrnam_r(const char *name, struct group *group, char *buffer, size_t bytes, struct group **out)
{
	return find_group(name, 0, group, buffer, bytes, out);
}

int getgrgid_r(gid_t gid, struct group *group, char *buffer, size_t bytes, struct group **out)
{
	return find_group(NULL, gid, group, buffer, bytes, out);
}

static struct group own_group;
static _Alignas(8) char own_group_line[LINE + MEMBERS * sizeof(char *)];

struct group *getgrnam(const char *name)
{
	struct group *group;
	int error = find_group(name, 0, &own_group, own_group_line, sizeof(own_group_line), &group);

	if (error)
		errno = error;
	return group;
}

struct group *getgrgid(gid_t gid)
{
	struct group *group;
	int error = find_group(NULL, gid, &own_group, own_group_line, sizeof(own_group_line), &group);

	if (error)
		errno = error;
	return group;
}

static struct pass groups;
static bool groups_begun;

void setgrent(void)
{
	end(&groups);
	begin(&groups, "/etc/group", only_group);
	groups_begun = true;
}

void endgrent(void)
{
	end(&groups);
	groups_begun = false;
}

struct group *getgrent(void)
{
	static char *members[MEMBERS + 1];
	int error;

	if (!groups_begun)
		setgrent();
	while (next_line(&groups, own_group_line, LINE, &error))
		if (parse_group(own_group_line, &own_group, members, MEMBERS))
			return &own_group;
	if (error)
		errno = error;
	return NULL;
}

/* The group itself, and all that name the user as a member: how many there are, or -1 if there is no room for them. */
int getgrouplist(const char *name, gid_t gid, gid_t *list, int *room)
{
	struct group *group;
	int count = 1, most = *room;

	if (most > 0)
		list[0] = gid;
	setgrent();
	while ((group = getgrent()))
		for (char **member = group->gr_mem; *member && group->gr_gid != gid; member++)
			if (!strcmp(*member, name)) {
				if (count < most)
					list[count] = group->gr_gid;
				count++;
				break;
			}
	endgrent();
	*room = count;
	return count > most ? -1 : count;
}

int initgroups(const char *name, gid_t gid)
{
	gid_t list[NGROUPS_MAX];
	int count = NGROUPS_MAX;

	(void)getgrouplist(name, gid, list, &count);
	return setgroups(count < NGROUPS_MAX ? count : NGROUPS_MAX, list);
}
