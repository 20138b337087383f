# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# The Debian packages that iovad is built and tested with.
# shellcheck disable=SC2034 # used by the scripts that source this

BUILD_PACKAGES=(gcc g++ meson ninja-build pkgconf libdpdk-dev libtbb-dev liblzma-dev
	libgtest-dev libgmock-dev libbenchmark-dev)
TEST_PACKAGES=(clang libclang-rt-14-dev llvm binutils valgrind xz-utils shellcheck dpdk dpdk-dev cmake
	doxygen mandoc # test/docs
	abigail-tools build-essential debhelper dh-python lintian # test/abi, test/packages
	debootstrap debian-archive-keyring) # test/packages, test/dpdk
VM_PACKAGES=(qemu-system-x86 busybox-static cpio kmod xz-utils dpdk dpdk-dev) # test/vm

os_release() { cat "${OS_RELEASE:-/etc/os-release}"; }

package_installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_get() {
	DEBIAN_FRONTEND=noninteractive logged "apt-get-$1" apt-get -q -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Dpkg::Use-Pty=0 "$@"
}

need_debian_12() {
	local id version name
	id=$(os_release | sed -n 's/^ID=//p' | tr -d '"')
	version=$(os_release | sed -n 's/^VERSION_ID=//p' | tr -d '"')
	name=$(os_release | sed -n 's/^PRETTY_NAME=//p' | tr -d '"')
	[ "$id" = debian ] && [ "$version" = 12 ] && return
	die "this is ${name:-an unknown system}; the packages to install are known for Debian 12 only." \
		"Install the like of these yourself: $*" \
		"(DPDK 22.11 or newer, a C++20 compiler), then run this again with --no-install."
}

# install_packages NAME...: install those that are missing; says which before it does.
install_packages() {
	local missing=() package
	need_debian_12 "$@"
	for package in "$@"; do
		package_installed "$package" || missing+=("$package")
	done
	if [ ${#missing[@]} -eq 0 ]; then
		say "Packages: all ${#} that are needed are installed."
		return
	fi
	say_change "installing packages, which stay: ${missing[*]}"
	need_disk /usr 1500 "the packages"
	# Trouble with one list shows at the installation, if it matters.
	apt_get update || say "apt-get update failed; trying with the package lists there are."
	apt_get install -y --no-install-recommends "${missing[@]}" || die \
		"apt-get could not install: ${missing[*]}" \
		"What it said is above. Most often the package servers cannot be reached:" \
		"check the network (and the proxy, if you need one), see that \"apt-get update\" works," \
		"and run this again. Where you install the packages in another way, use --no-install."
}

# With --no-install: see that the tools are there, and say which are not.
need_tools() {
	local missing=() tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]}" \
		"Install them, or run this without --no-install."
	pkg-config --atleast-version=22.11 libdpdk || die \
		"pkg-config finds no libdpdk of version 22.11 or newer." \
		"On Debian that is the package libdpdk-dev. Elsewhere set PKG_CONFIG_PATH."
}
