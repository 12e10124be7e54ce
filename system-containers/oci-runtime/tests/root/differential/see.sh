# What a program sees of its container: lines of field, tabulator, value.
f() { key=$1; shift; "$@" 2>&1 | while IFS= read -r line; do printf '%s\t%s\n' "$key" "$line"; done; }
for n in 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$n && printf 'descriptors\t%s\n' $n; done
f user grep -E '^(Uid|Gid|Groups):' /proc/self/status
f umask umask
f cwd pwd
f env env
f hostname cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname
f capabilities grep -E '^Cap' /proc/self/status
f no_new_privs grep NoNewPrivs /proc/self/status
f seccomp grep Seccomp /proc/self/status
f signals grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
f limits tr -s ' ' </proc/self/limits
f oom cat /proc/self/oom_score_adj
f io_priority ionice
f scheduling awk '{print $18, $19, $40, $41}' /proc/1/stat
f cpus grep Cpus_allowed_list /proc/self/status
f session awk '{print ($5 == $1), ($6 == $1), $7}' /proc/1/stat
f personality cat /proc/self/personality
f machine uname -m
f time_offsets cat /proc/self/timens_offsets
f uid_map tr -s ' ' </proc/self/uid_map
f gid_map tr -s ' ' </proc/self/gid_map
f setgroups cat /proc/self/setgroups
for n in cgroup ipc mnt net pid time user uts; do f namespaces readlink /proc/self/ns/$n; done
f mountinfo cat /proc/self/mountinfo
f cgroup grep ^0:: /proc/self/cgroup
f dev eval "ls -lnR /dev | awk '{print \$1, \$3, \$4, \$5, \$6, \$NF}'"
for l in ptmx fd stdin stdout stderr core; do f links readlink /dev/$l; done
f null stat -c '%t %T %F' /dev/null
f keyring awk '{print $8, $9}' /proc/keys
f loopback cat /sys/class/net/lo/flags
f interfaces ls /sys/class/net
f sysctl grep -H '' /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/kernel/shm_rmid_forced /proc/sys/fs/mqueue/queues_max
for p in / /tmp /mnt /mnt/deep /mnt/under /proc/sys/kernel/hostname /sys/fs/cgroup /dev /dev/shm; do f writable eval "test -w $p && echo $p"; done
for p in /mnt /mnt/deep /mnt/file /mnt/under /proc/kcore /proc/acpi /sys/firmware /etc; do f files stat -c '%n %F %a %u:%g' $p; done
f listed ls /mnt /proc/acpi /sys/firmware /proc/keys
for d in /dev/null /dev/zero /dev/full /dev/random /dev/tty /dev/kmsg /dev/extra /dev/loop7 /dev/net/tun; do f device eval "(: <$d) && echo $d opens"; done
f make_node eval 'mknod /dev/made c 1 11 && (: </dev/made) && echo made; mknod /dev/made2 c 1 3 && echo made2'
for c in cgroup.max.depth cgroup.max.descendants hugetlb.2MB.max memory.high memory.low memory.max memory.swap.max cpu.idle cpu.max cpu.weight cpuset.cpus io.weight pids.max; do
    f limits_of_cgroup eval "test -e /sys/fs/cgroup/$c && echo $c \$(cat /sys/fs/cgroup/$c)"
done
f calls eval 'mkdir /tmp/made && rmdir /tmp/made; chmod 700 /proc/nothing; linux32 uname -m; chown 0:5 /proc/nothing; sync && echo synced; nice -n 1 true && echo nice'
f hooks cat /tmp/hooks
f ends eval "sh -c 'setsid true; hostid >/dev/null; swapoff /nothing'; echo \$?"
