# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# A minimal Debian in a folder, from where this machine has its packages: of the release that
# CHROOT_RELEASE names, else of this machine's. Who sources this runs in a mount namespace of its
# own (private_mounts): what is mounted here nobody else sees, and it goes with the last process,
# however that ends.
#
# CHROOT_CACHE keeps the base system and the packages from one run to the next.

CHROOT=$CHROOT_CACHE/root

private_mounts() { [ -z "${IOVAD_PRIVATE_MOUNTS:-}" ] || return 0; IOVAD_PRIVATE_MOUNTS=1 exec unshare --mount "$@"; }

# Why there can be no chroot; nothing where there can.
chroot_trouble() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "only root can make a chroot"
	elif ! command -v debootstrap >/dev/null; then
		echo "debootstrap is not installed"
	elif ! unshare --mount true 2>/dev/null; then
		echo "nothing can be mounted here (a container without CAP_SYS_ADMIN)"
	fi
}

# This machine's.
release_name() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

CHROOT_RELEASE=${CHROOT_RELEASE:-$(release_name)}

# Debian's own of what apt is configured with: URI, release, component.
sources_here() {
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v name="$(release_name)" '$3 == "main" && ($2 == name || $2 ~ "^" name "-(updates|security)$")' | sort -u
}

# Has all releases.
mirror() { sources_here | awk -v name="$(release_name)" '$2 == name { print $1; exit }'; }

sources() {
	if [ "$CHROOT_RELEASE" = "$(release_name)" ]; then
		sources_here
	else
		echo "$(mirror) $CHROOT_RELEASE main"
	fi
}

# base.tar, unless it is there.
chroot_base() {
	[ ! -f "$CHROOT_CACHE/base.tar" ] || return 0
	local new=$CHROOT_CACHE/base.new proxy=
	# debootstrap does not look for apt's.
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	[ -z "$proxy" ] || export http_proxy=${http_proxy:-$proxy}
	rm -rf --one-file-system "$new"
	mkdir -p "$new"
	debootstrap --variant=minbase --include=ca-certificates "$CHROOT_RELEASE" "$new" "$(mirror)" &&
		tar -C "$new" --one-file-system -cf "$CHROOT_CACHE/base.tmp" . &&
		mv "$CHROOT_CACHE/base.tmp" "$CHROOT_CACHE/base.tar" &&
		rm -rf --one-file-system "$new"
}

# A fresh one, with apt as here: mirrors, and how they are reached.
chroot_make() {
	local apt=$CHROOT/etc/apt
	rm -rf --one-file-system "$CHROOT"
	mkdir -p "$CHROOT" "$CHROOT_CACHE/archives"
	tar -C "$CHROOT" -xf "$CHROOT_CACHE/base.tar"
	sources | sed 's/^/deb /' >"$apt/sources.list"
	apt-config dump | grep '^Acquire::' >"$apt/apt.conf.d/10host" || true
	printf '%s\n' 'APT::Install-Recommends "false";' 'APT::Sandbox::User "root";' >"$apt/apt.conf.d/20tests"
	cp -L /etc/resolv.conf /etc/hosts "$CHROOT/etc/"
	printf '#!/bin/sh\nexit 101\n' >"$CHROOT/usr/sbin/policy-rc.d" # start no service
	chmod +x "$CHROOT/usr/sbin/policy-rc.d"
	mount --bind "$CHROOT_CACHE/archives" "$CHROOT/var/cache/apt/archives"
	mount -t proc proc "$CHROOT/proc"
	mount -t sysfs -o ro sysfs "$CHROOT/sys"
	inside apt-get -q update
}

chroot_remove() {
	umount -R "$CHROOT"/{var/cache/apt/archives,proc,sys} 2>/dev/null || true
	rm -rf --one-file-system "$CHROOT"
}

INSIDE=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
	RUNTIME_DIRECTORY=/tmp http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" no_proxy="${no_proxy:-}"
	chroot "$CHROOT")

# inside COMMAND...
inside() { "${INSIDE[@]}" "$@"; }
