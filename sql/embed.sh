#!/bin/sh
# embed.sh - writes the SQL files of this directory as C, for `chwsyncd schema` (see daemon/store/schema.h).
#
# Every file is an array of numbers: nothing needs quoting, and no limit on the length of a literal matters.
set -eu
export LC_ALL=C
cd "$(dirname "$0")"

cat <<'HEAD'
/* Written by sql/embed.sh. */
#include "store/schema.h"

HEAD

number=0
table=
for file in schema/[0-9][0-9][0-9]-*.sql roles.sql functions.sql views.sql grants.sql adapters/*.sql templates/*.sql; do
    [ -f "$file" ] || continue
    echo "static const char file_$number[] = {"
    od -An -v -t u1 "$file" | awk '{ for (i = 1; i <= NF; i++) printf("%s%s,", ($i > 127 ? "(char)" : ""), $i); print "" }'
    echo "0};"
    table="$table    {\"$file\", file_$number},
"
    number=$((number + 1))
done

printf '\nconst struct sql_file sql_files[] = {\n%s};\n' "$table"
printf 'const size_t sql_file_count = %s;\n' "$number"
