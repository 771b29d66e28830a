/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.c: gathering text, and what is escaped in it. See text.h. Any thread.
 */
#include "text.h"

bool gyre__text_flush(struct gyre__text *text)
{
	if (!text->refused && text->used > 0)
		text->refused = !text->write(text->arg, text->piece, text->used);
	text->used = 0;
	return !text->refused;
}

void gyre__text_char(struct gyre__text *text, char c)
{
	if (text->used == sizeof(text->piece))
		gyre__text_flush(text);
	text->piece[text->used++] = c;
}

void gyre__text_put(struct gyre__text *text, const char *string)
{
	while (*string)
		gyre__text_char(text, *string++);
}

void gyre__text_number(struct gyre__text *text, uint64_t n)
{
	char digits[20];
	size_t count = 0;

	do
		digits[count++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	while (count > 0)
		gyre__text_char(text, digits[--count]);
}

void gyre__text_seconds(struct gyre__text *text, uint64_t ns)
{
	uint64_t unit;

	gyre__text_number(text, ns / 1000000000);
	gyre__text_char(text, '.');
	for (unit = 100000000; unit > 0; unit /= 10)
		gyre__text_char(text, (char)('0' + ns / unit % 10));
}

/* The length of the well-formed UTF-8 sequence that s begins with; 0: it does not (Unicode 15,
 * table 3-7). */
static size_t sequence(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	/* Neither longer than need be, nor a surrogate, nor beyond the last code point. */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	for (i = 1; i < length; i++) {
		if (s[i] < low || s[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

void gyre__text_name(struct gyre__text *text, const char *name)
{
	const unsigned char *s = (const unsigned char *)name;

	while (*s) {
		size_t length = *s < ' ' || *s == 127 ? 0 : sequence(s);

		if (length == 0) {
			gyre__text_put(text, *s == '\n' ? "\\n" : "?");
			s++;
			continue;
		}
		if (*s == '\\' || *s == '"')
			gyre__text_char(text, '\\');
		for (; length > 0; length--)
			gyre__text_char(text, (char)*s++);
	}
}
