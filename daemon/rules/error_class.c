#include "rules/error_class.h"
#include "base/own.h"
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define FOLDED_SIZE 1024

/*
 * The first row whose words all occur decides. The text is compared in lower case with every run of
 * punctuation as one space, and begins and ends with a space, so " key " is a whole word and "
 * runs" the beginning of one.
 *
 * What a wrong row costs orders them: a refusal taken for "server" makes a person look, an accepted
 * order taken for "rate" is bought twice. So whatever smells of a fault inside the provider comes
 * first, and the words of "rate" are narrow.
 */
static const struct rule {
    enum error_class class;
    const char *words[2];
} rules[] = {
    {ERROR_SERVER, {" internal error"}},
    {ERROR_SERVER, {" internal server error"}},
    {ERROR_SERVER, {" server error"}},
    {ERROR_SERVER, {" system error"}},
    {ERROR_SERVER, {" database error"}},
    {ERROR_SERVER, {" critical error"}},
    {ERROR_SERVER, {" fatal error"}},
    {ERROR_SERVER, {" unexpected error"}},
    {ERROR_SERVER, {" unknown error"}},
    {ERROR_SERVER, {" something went wrong"}},
    {ERROR_SERVER, {" maintenance"}},
    {ERROR_SERVER, {" temporarily unavailable"}},
    {ERROR_SERVER, {" service unavailable"}},
    {ERROR_SERVER, {" bad gateway"}},
    {ERROR_SERVER, {" timeout "}},
    {ERROR_SERVER, {" timed out"}},
    {ERROR_SERVER, {" time out"}},
    {ERROR_SERVER, {" sqlstate"}},
    {ERROR_SERVER, {" curl error"}},
    {ERROR_SERVER, {" no route to host "}},
    {ERROR_SERVER, {" connection refused "}},
    {ERROR_SERVER, {" failed to connect "}},
    {ERROR_SERVER, {" could not connect "}},
    {ERROR_SERVER, {" exception "}},

    {ERROR_ENDPOINT, {" no route was found "}},
    {ERROR_ENDPOINT, {" no route match"}},
    {ERROR_ENDPOINT, {" rest no route "}},
    {ERROR_ENDPOINT, {" route not found "}},

    {ERROR_KEY, {" api key"}},
    {ERROR_KEY, {" apikey"}},
    {ERROR_KEY, {" api token"}},
    {ERROR_KEY, {" invalid key "}},
    {ERROR_KEY, {" incorrect key "}},
    {ERROR_KEY, {" wrong key "}},
    {ERROR_KEY, {" key not found "}},
    {ERROR_KEY, {" invalid token "}},
    {ERROR_KEY, {" bad auth "}},
    {ERROR_KEY, {" unauthorized "}},
    {ERROR_KEY, {" unauthenticated "}},
    {ERROR_KEY, {" not authorized "}},
    {ERROR_KEY, {" access denied "}},
    {ERROR_KEY, {" account ", " suspended "}},
    {ERROR_KEY, {" account ", " blocked "}},
    {ERROR_KEY, {" account ", " banned "}},
    {ERROR_KEY, {" account ", " inactive "}},
    {ERROR_KEY, {" account is disabled "}},
    {ERROR_KEY, {" user suspended "}},
    {ERROR_KEY, {" ip ", " not allowed "}},
    {ERROR_KEY, {" ip ", " whitelist"}},
    {ERROR_KEY, {" ip ", " blocked "}},

    {ERROR_FUNDS, {" insufficient ", " balance "}},
    {ERROR_FUNDS, {" insufficient ", " fund"}},
    {ERROR_FUNDS, {" insufficient ", " credit"}},
    {ERROR_FUNDS, {" not enough ", " fund"}},
    {ERROR_FUNDS, {" not enough ", " balance "}},
    {ERROR_FUNDS, {" not enough ", " money "}},
    {ERROR_FUNDS, {" not enough ", " credit"}},
    {ERROR_FUNDS, {" low balance "}},
    {ERROR_FUNDS, {" balance is too low "}},
    {ERROR_FUNDS, {" balance is not enough "}},

    {ERROR_RATE, {" rate limit"}},
    {ERROR_RATE, {" ratelimit"}},
    {ERROR_RATE, {" too many requests "}},
    {ERROR_RATE, {" too many attempts "}},
    {ERROR_RATE, {" request limit "}},
    {ERROR_RATE, {" requests per "}},

    {ERROR_REQUEST, {" ids per request "}},
    {ERROR_REQUEST, {" orders per request "}},
    {ERROR_REQUEST, {" too many ", " ids "}},
    {ERROR_REQUEST, {" too many orders "}},
    {ERROR_REQUEST, {" maximum ", " ids "}},
    {ERROR_REQUEST, {" max ", " ids "}},
    {ERROR_REQUEST, {" maximum ", " order ids "}},

    {ERROR_REFILL, {" refill"}},
    {ERROR_REFILL, {" already requested "}},
    {ERROR_REFILL, {" not eligible "}},

    {ERROR_PARAMETERS, {" duplicate", " comment"}},
    {ERROR_PARAMETERS, {" duplicate", " username"}},
    {ERROR_PARAMETERS, {" duplicate", " hashtag"}},
    {ERROR_DUPLICATE, {" duplicate"}},
    {ERROR_DUPLICATE, {" active order "}},
    {ERROR_DUPLICATE, {" same link "}},
    {ERROR_DUPLICATE, {" already ", " link "}},
    {ERROR_DUPLICATE, {" already ", " order "}},
    {ERROR_DUPLICATE, {" order already "}},
    {ERROR_DUPLICATE, {" wait until ", " order "}},

    {ERROR_PARAMETERS, {" quantity"}},

    {ERROR_ORDER, {" order id"}},
    {ERROR_ORDER, {" orderid"}},
    {ERROR_ORDER, {" order not found "}},
    {ERROR_ORDER, {" order was not found "}},
    {ERROR_ORDER, {" order does not exist "}},
    {ERROR_ORDER, {" order doesn t exist "}},
    {ERROR_ORDER, {" no such order "}},
    {ERROR_ORDER, {" unknown order "}},
    {ERROR_ORDER, {" incorrect order "}},
    {ERROR_ORDER, {" invalid order "}},

    {ERROR_SERVICE, {" service id"}},
    {ERROR_SERVICE, {" service not found "}},
    {ERROR_SERVICE, {" service was not found "}},
    {ERROR_SERVICE, {" service does not exist "}},
    {ERROR_SERVICE, {" service doesn t exist "}},
    {ERROR_SERVICE, {" no such service "}},
    {ERROR_SERVICE, {" unknown service "}},
    {ERROR_SERVICE, {" incorrect service "}},
    {ERROR_SERVICE, {" invalid service "}},
    {ERROR_SERVICE, {" wrong service "}},
    {ERROR_SERVICE, {" service disabled "}},
    {ERROR_SERVICE, {" service is disabled "}},
    {ERROR_SERVICE, {" service inactive "}},
    {ERROR_SERVICE, {" service is inactive "}},
    {ERROR_SERVICE, {" service is not active "}},
    {ERROR_SERVICE, {" service not available "}},
    {ERROR_SERVICE, {" service is not available "}},

    {ERROR_PARAMETERS, {" neworder error "}},
    {ERROR_PARAMETERS, {" link"}},
    {ERROR_PARAMETERS, {" url"}},
    {ERROR_PARAMETERS, {" comment"}},
    {ERROR_PARAMETERS, {" interval"}},
    {ERROR_PARAMETERS, {" runs "}},
    {ERROR_PARAMETERS, {" username"}},
    {ERROR_PARAMETERS, {" hashtag"}},
    {ERROR_PARAMETERS, {" keyword"}},
    {ERROR_PARAMETERS, {" answer number "}},
    {ERROR_PARAMETERS, {" minimum "}},
    {ERROR_PARAMETERS, {" maximum "}},
    {ERROR_PARAMETERS, {" min "}},
    {ERROR_PARAMETERS, {" max "}},
    {ERROR_PARAMETERS, {" parameter"}},
    {ERROR_PARAMETERS, {" field is required "}},

    {ERROR_SERVER, {" try again"}},
};

static bool is_word_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

/* A text of more than a screen is judged by its beginning. */
static void fold(const char *text, char folded[FOLDED_SIZE])
{
    size_t used = 0;
    folded[used++] = ' ';
    for (; *text && used < FOLDED_SIZE - 2; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c - 'A' + 'a');
        if (is_word_byte(c))
            folded[used++] = (char)c;
        else if (folded[used - 1] != ' ')
            folded[used++] = ' ';
    }
    if (folded[used - 1] != ' ')
        folded[used++] = ' ';
    folded[used] = '\0';
}

enum error_class error_class_of(const char *text)
{
    char folded[FOLDED_SIZE];
    fold(text, folded);
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        if (strstr(folded, rules[i].words[0]) &&
            (!rules[i].words[1] || strstr(folded, rules[i].words[1])))
            return rules[i].class;
    return ERROR_OTHER;
}

const char *error_class_name(enum error_class class)
{
    static const char *const names[] = {
        [ERROR_NONE] = "none",           [ERROR_KEY] = "key",
        [ERROR_FUNDS] = "funds",         [ERROR_RATE] = "rate",
        [ERROR_SERVICE] = "service",     [ERROR_PARAMETERS] = "parameters",
        [ERROR_DUPLICATE] = "duplicate", [ERROR_ORDER] = "order",
        [ERROR_REFILL] = "refill",       [ERROR_REQUEST] = "request",
        [ERROR_ENDPOINT] = "endpoint",   [ERROR_SERVER] = "server",
        [ERROR_OTHER] = "other",
    };
    return names[class];
}
