/*
 * base/own.h - who frees what, said where the variable is declared.
 *
 *     OWN(text_done) struct text body = { 0 };     freed at the end of the block
 *     *ret_account = GIVE(account);                handed over: no longer freed here
 */
#pragma once

#define OWN(function) __attribute__((cleanup(function)))

/* Defines name_freep for OWN(): frees what the pointer holds. `free_function` accepts NULL. */
#define DEFINE_OWN(type, free_function, name)                                                      \
    static inline void name(type **owned)                                                          \
    {                                                                                              \
        free_function(*owned);                                                                     \
    }

/* The value of a pointer variable, which is NULL from then on. */
#define GIVE(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) *give_from_ = &(pointer);                                              \
        __typeof__(pointer) give_value_ = *give_from_;                                             \
        *give_from_ = NULL;                                                                        \
        give_value_;                                                                               \
    })

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
