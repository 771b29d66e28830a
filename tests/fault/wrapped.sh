#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# wrapped.sh LIBRARY FUNCTION ...: whether wrap.c stands in for whatever the static library calls that
# the system may refuse. Prints each function that it does not, and ends with 1 if there is one.
library=$1
shift
may_refuse='malloc calloc realloc reallocarray aligned_alloc posix_memalign memalign strdup strndup
asprintf vasprintf open_memstream fopen fdopen getline mmap mmap64 mremap munmap madvise sbrk
memfd_create shm_open eventfd pipe pthread_create pthread_key_create pthread_setspecific sem_open
timer_create timerfd_create'

called=$(nm -u "$library" | sed -n 's/^ *U \([a-z_0-9]*\).*/\1/p' | sort -u)
missing=0
for function in $may_refuse; do
	echo "$called" | grep -qx "$function" || continue
	case " $* " in
	*" $function "*) ;;
	*)
		echo "$function is called and not wrapped"
		missing=1
		;;
	esac
done
# A library without any call of malloc is not the one that was meant.
echo "$called" | grep -qx malloc || missing=1
exit $missing
