# SPDX-License-Identifier: BSD-2-Clause
"""The parts of the host tools exo and exo-cc: one small module for each thing it does.

cli      verbs, their options, and what they do
helptext the help pages
options  the option parser (errors name the nearest known word)
config   etc/exo.conf: what may stand in it, reading and writing
tree     where kernel, programs and libraries are (build tree or installation)
elf      program files: checking them, leaving out debug data
image    composing the boot module: the first program and the boot archive
qemu     turning a machine description into an emulator command
run      one run: process, console, time limit, exit status
ports    published ports, and whether they are free
disktool images of disks and their extents: exo disk
compare  exo compare: what is compared, in which order; with it compare_spec (loads and variants from
         words), compare_measure (machines, counts), compare_linux, compare_stats, compare_report
         (table, CSV, JSON) and compare_plot
blocks   which blocks of the libraries a program has in it
gpt      partition tables of images
doctor   what this computer lacks, and how to get it

cc       exo-cc
util     errors, messages, values

Only Python's standard library is used, version 3.9 or later.
"""
