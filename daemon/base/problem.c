#include "base/problem.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A cut must not leave half a character behind: the text ends up in UTF-8 columns. */
static void write_cut(char *target, size_t size, const char *format, va_list arguments)
{
    int length = vsnprintf(target, size, format, arguments);
    if (length < 0) {
        target[0] = '\0'; /* uncovered: a format with an invalid wide character */
        return;           /* uncovered: the same */
    }
    if ((size_t)length < size)
        return;
    size_t end = size - 1, start = end - 1;
    while (start > 0 && ((unsigned char)target[start] & 0xC0) == 0x80)
        start--;
    if (text_utf8_length(target + start, end - start) == 0)
        target[start] = '\0';
}

void problem_set(struct problem *problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_cut(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    problem->hint[0] = '\0';
}

void problem_hint(struct problem *problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_cut(problem->hint, sizeof problem->hint, format, arguments);
    va_end(arguments);
}
