#include "commands/watch.h"
#include "base/own.h"
#include "commands/output.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_COLUMNS 400

struct screen {
    bool on_terminal, bold;
    struct termios before;
    bool input_is_raw;
    int signals;
};

static void screen_begin(struct screen *screen)
{
    sigset_t set;
    struct termios raw;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    screen->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    screen->on_terminal = isatty(STDOUT_FILENO);
    screen->bold = screen->on_terminal && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
    if (screen->on_terminal && isatty(STDIN_FILENO) &&
        tcgetattr(STDIN_FILENO, &screen->before) == 0) {
        raw = screen->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        screen->input_is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    if (screen->on_terminal)
        fputs("\033[?1049h\033[?25l", stdout);
}

static void screen_end(struct screen *screen)
{
    if (screen->on_terminal)
        fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (screen->input_is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    if (screen->signals >= 0)
        close(screen->signals);
}

/* As much of the line, which ends at a line end, as the screen is wide. */
static void put_line(const struct screen *screen, const char *line, int columns, bool bold)
{
    size_t length = strcspn(line, "\n"), fitting = output_bytes_within(line, columns);

    if (bold && screen->bold)
        fputs("\033[1m", stdout);
    fwrite(line, 1, fitting < length ? fitting : length, stdout);
    if (bold && screen->bold)
        fputs("\033[0m", stdout);
    fputs(screen->on_terminal ? "\033[K\n" : "\n", stdout);
}

static size_t count_lines(const char *frame)
{
    size_t lines = 0;

    for (; *frame; lines++) {
        frame += strcspn(frame, "\n");
        frame += *frame == '\n';
    }
    return lines;
}

static void put_heading(const struct screen *screen, const char *title, int columns)
{
    char heading[200], moment[32] = "";
    time_t now = time(NULL);
    struct tm local;

    if (localtime_r(&now, &local))
        strftime(moment, sizeof moment, "%H:%M:%S", &local);
    snprintf(heading, sizeof heading, "%s   %s%s", title, moment,
             screen->on_terminal ? "   q ends" : "");
    put_line(screen, heading, columns, true);
    put_line(screen, "", columns, false);
}

/* What is held up stands at the end: when that does not fit, it is said that there is more. */
static void put_frame(const struct screen *screen, const char *frame, size_t rows, int columns)
{
    size_t lines = count_lines(frame), shown = lines <= rows ? lines : rows - (rows > 0);
    char more[80];

    for (size_t i = 0; i < shown; i++) {
        put_line(screen, frame, columns, false);
        frame += strcspn(frame, "\n");
        frame += *frame == '\n';
    }
    if (lines > shown && rows > 0) {
        snprintf(more, sizeof more, "%zu more line%s: make the window taller", lines - shown,
                 lines - shown == 1 ? "" : "s");
        put_line(screen, more, columns, true);
    }
}

/* The last line of the terminal stays free, so that nothing scrolls; in four lines or less there is
 * no room for the heading. */
static void show(const struct screen *screen, const char *title, const char *frame)
{
    enum { HEADING_ROWS = 2 };
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    size_t rows = SIZE_MAX;
    int columns = LINE_MAX_COLUMNS;

    if (screen->on_terminal) {
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
            size = (struct winsize){.ws_row = 24, .ws_col = 80};
        rows = size.ws_row - 1u;
        columns = size.ws_col;
        fputs("\033[H", stdout);
    }
    if (rows >= 2 * HEADING_ROWS) {
        put_heading(screen, title, columns);
        rows -= HEADING_ROWS;
    }
    put_frame(screen, frame, rows, columns);
    if (screen->on_terminal)
        fputs("\033[J", stdout);
    else
        fputc('\n', stdout);
    fflush(stdout);
}

/* What draw() prints goes into memory first: the screen never shows half of it. */
static int draw_frame(void (*draw)(void *userdata), void *userdata, char **ret_frame)
{
    FILE *shown = stdout;
    size_t length;
    FILE *memory = open_memstream(ret_frame, &length);

    if (!memory)
        return -errno;
    stdout = memory;
    draw(userdata);
    stdout = shown;
    return fclose(memory) == 0 ? 0 : -errno;
}

/* True when it is time for the next frame, false when it is to end. */
static bool wait_for_next(const struct screen *screen, unsigned interval_s)
{
    struct pollfd descriptors[2] = {
        {.fd = screen->signals, .events = POLLIN},
        {.fd = screen->input_is_raw ? STDIN_FILENO : -1, .events = POLLIN}};
    struct signalfd_siginfo info;
    char key = 0;

    if (poll(descriptors, 2, (int)interval_s * 1000) <= 0)
        return true;
    if (descriptors[0].revents && read(screen->signals, &info, sizeof info) == sizeof info)
        return info.ssi_signo == SIGWINCH;
    if (descriptors[1].revents && read(STDIN_FILENO, &key, 1) <= 0)
        return false;
    return key != 'q' && key != 'Q';
}

int watch_run(const char *title, unsigned interval_s, void (*draw)(void *userdata), void *userdata)
{
    struct screen screen = {0};
    int r;

    screen_begin(&screen);
    do {
        char *frame = NULL;

        r = draw_frame(draw, userdata, &frame);
        if (r == 0)
            show(&screen, title, frame);
        free(frame);
    } while (r == 0 && !ferror(stdout) && wait_for_next(&screen, interval_s));
    screen_end(&screen);
    return r;
}
