# containers.sh: what the journeys with containers share: the CT 105, and what is asked inside of it. Of the machine's two
# GPUs it is to get the second.
# shellcheck disable=SC2034
id=105 card=0000:02:00.0 other=0000:01:00.0
goal="--gpu $card --into ct/$id"
conf=/etc/pve/lxc/$id.conf
place=/var/lib/lxc/$id

# The kernel's word on which node a card has, and its number.
node_of() {
	for node in /sys/class/drm/renderD*; do
		case $(readlink -f "$node") in */"$1"/*) basename "$node" ;; esac
	done
}
number_of() { cat "/sys/class/drm/$(node_of "$1")/dev"; }
kernel() { echo "/dev/dri/$(node_of $card) $(number_of $card)"; }

# What a container begins with: the rest is the node's /usr. jellyfin is in its group render, visitor in none; the number is
# not the node's.
tree() { # FOLDER
	mkdir -p "$1/dev" "$1/etc" "$1/proc" "$1/root" "$1/run" "$1/sys" "$1/tmp" "$1/usr" "$1/var/log"
	for name in bin lib lib64 sbin; do ln -s "usr/$name" "$1/$name"; done
	chmod 1777 "$1/tmp"
	cp -r /etc/alternatives "$1/etc/"
	cat >"$1/etc/passwd" <<-END
		root:x:0:0:root:/root:/bin/sh
		jellyfin:x:1000:1000::/tmp:/bin/sh
		visitor:x:1001:1001::/tmp:/bin/sh
	END
	cat >"$1/etc/group" <<-END
		root:x:0:
		render:x:993:jellyfin
		jellyfin:x:1000:
		visitor:x:1001:
	END
}
make_ct() { # privileged|unprivileged LINE...: the CT's file as Proxmox writes it, with these lines behind the others
	way=$1
	shift
	tree "$place/rootfs"
	{
		printf '%s\n' 'arch: amd64' 'cores: 2' 'features: nesting=1' 'hostname: jellyfin' 'memory: 512' 'ostype: debian' \
			"rootfs: local:$id/vm-$id-disk-0.raw,size=8G" 'swap: 512'
		[ "$way" = privileged ] || echo 'unprivileged: 1'
		[ $# = 0 ] || printf '%s\n' "$@"
	} >"$conf"
	chmod 640 "$conf"
	[ "$way" = privileged ] || chown -hR 100000:100000 "$place/rootfs"
	cp "$conf" /var/lib/lab/conf
}
inside() { # COMMAND...; with a pipe: to a terminal, which the port is, LXC would open one inside
	said=$(pct exec $id -- "$@" 2>&1)
	status=$?
	printf '%s\n' "$said"
	return $status
}
as() { # USER COMMAND...: with the groups that the user has inside
	user=$1
	shift
	inside setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}
look() { # NAME: which node is inside, as whose, and who may use it
	run "$1-list" inside ls /dev/dri
	run "$1-node" inside stat -c '%n %Hr:%Lr %u:%g %a' "/dev/dri/$(node_of $card)"
	run "$1-right" as jellyfin open_node "/dev/dri/$(node_of $card)"
	run "$1-wrong" as visitor open_node "/dev/dri/$(node_of $card)"
}
make_and_open() { # NUMBER: root inside makes himself a node
	inside sh -c "rm -f /root/own && mknod /root/own c ${1%:*} ${1#*:} && echo made && open_node /root/own"
}
restart() {
	must stop pct stop $id
	must start pct start $id
}
back() { # taken back, from the next start on
	must rollback gpuferry rollback --yes
	restart
	look after
	run differences diff /var/lib/lab/conf $conf
}
