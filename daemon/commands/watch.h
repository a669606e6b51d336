/*
 * commands/watch.h - something drawn again and again: on a terminal it fills the screen, calmly.
 *
 * Plain ANSI and no more: the other screen, lines rewritten in place, cut to the terminal's size.
 * Bold is the only attribute, and only where NO_COLOR is not set. Where stdout is no terminal the
 * frames follow each other without any escape.
 */
#pragma once

/*
 * Calls draw(), which prints to stdout, every `interval_s` seconds until q, Ctrl-C or SIGTERM; the
 * terminal is as before when this returns. `title` stands above, with the time. 0 or negative
 * errno.
 */
int watch_run(const char *title, unsigned interval_s, void (*draw)(void *userdata), void *userdata);
