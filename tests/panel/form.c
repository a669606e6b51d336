#include "form.h"

#include <string.h>

static int hexadecimal(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static void decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from == '+') {
            *to++ = ' ';
        } else if (*from == '%' && hexadecimal(from[1]) >= 0 && hexadecimal(from[2]) >= 0) {
            char byte = (char)(hexadecimal(from[1]) * 16 + hexadecimal(from[2]));
            *to++ = byte ? byte : '?';
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

void form_parse(struct form *form, char *body)
{
    char *rest = body;

    form->count = 0;
    while (rest && *rest && form->count < FORM_FIELDS_MAX) {
        char *name = strsep(&rest, "&");
        char *value = strchr(name, '=');
        if (value)
            *value++ = '\0';
        else
            value = name + strlen(name);
        if (!*name)
            continue;
        decode(name);
        decode(value);
        form->fields[form->count++] = (struct form_field){name, value};
    }
}

const char *form_get(const struct form *form, const char *name)
{
    for (size_t i = form->count; i > 0; i--) {
        if (strcmp(form->fields[i - 1].name, name) == 0)
            return form->fields[i - 1].value;
    }
    return NULL;
}

const char *form_text(const struct form *form, const char *name)
{
    const char *value = form_get(form, name);

    return value ? value : "";
}
