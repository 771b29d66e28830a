/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c: gives a fuzz target every file of the folders (or each file) named on the command line,
 * once, in any build and with any compiler. Ends with 1 when there was no file at all.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned replayed;

static void replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	size_t length = 0, room = 0, got;

	if (file == NULL) {
		perror(path);
		exit(2);
	}
	do {
		room = room == 0 ? 4096 : room * 2;
		bytes = realloc(bytes, room);
		if (bytes == NULL)
			exit(2);
		got = fread(bytes + length, 1, room - length, file);
		length += got;
	} while (length == room);
	fclose(file);
	/* Said before, so that it is known which file it was. */
	fprintf(stderr, "%s, %zu bytes\n", path, length);
	bytes = realloc(bytes, length > 0 ? length : 1); /* so that reading on is noticed */
	LLVMFuzzerTestOneInput(bytes, length);
	free(bytes);
	replayed++;
}

int main(int count, char **paths)
{
	for (int i = 1; i < count; i++) {
		DIR *folder = opendir(paths[i]);
		struct dirent *entry;

		if (folder == NULL) {
			replay(paths[i]);
			continue;
		}
		while ((entry = readdir(folder)) != NULL) {
			char path[4096];

			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", paths[i], entry->d_name);
			replay(path);
		}
		closedir(folder);
	}
	fprintf(stderr, "%u inputs replayed\n", replayed);
	return replayed > 0 ? 0 : 1;
}
