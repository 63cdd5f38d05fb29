# SPDX-License-Identifier: BSD-2-Clause
#
# `make -j check`: tests that keep several CPUs busy, or measure how time is shared, run one by one when the others are
# done; so what they are told about is themselves. GNU make reads this file as it stands. It matters only where Automake
# runs tests: there TEST_LOGS is what it was asked for, in order.

alone_logs = $(patsubst %,%.log,$(basename $(alone_tests)))

ifeq ($(origin TEST_LOGS),command line)
order_before := $(filter-out $(alone_logs),$(TEST_LOGS))
$(foreach log,$(filter $(alone_logs),$(TEST_LOGS)),$(eval $(log): | $(order_before))$(eval order_before := $(log)))
endif
