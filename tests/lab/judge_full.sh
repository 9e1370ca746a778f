# shellcheck shell=sh disable=SC2154
# judge_full.sh: what each journey of the full machine must have said.

ended() { sed -n "/^== $1\$/,/^== ended/s/^== ended with //p" "$result" | head -n 1; }
drives() { part "$1" | sed -n "s/^$2 driver=//p"; }
as_before() { [ "$(ended differences)" = 0 ] || wrong "not as before: $(part differences | sed -n 2p)"; }
judge_whole() {
	[ "$(ended apply)" = 4 ] || wrong "apply did not ask for the reboot"
	for function in 0 1; do
		[ "$(drives drivers "0000:01:00.$function")" = vfio-pci ] || wrong "after the reboot 01:00.$function is with $(drives drivers "0000:01:00.$function")"
	done
	[ "$(ended confirm)" = 0 ] || wrong "it could not be confirmed"
	part plan-again | grep -q '^nothing to do' || wrong "not as wished: $(part plan-again | head -n 1)"
	part held | grep -q 'it is stopped' && wrong "gpuferry does not see that the guest runs"
	[ "$(drives drivers-off 0000:01:00.0)" = nouveau ] || wrong "with gpuferry=off the card is with $(drives drivers-off 0000:01:00.0)"
	[ "$(drives drivers-after 0000:01:00.0)" = nouveau ] || wrong "taken back the card is with $(drives drivers-after 0000:01:00.0)"
	as_before
}
taken_and_back() {
	# in emergency mode nobody has loaded a driver yet
	[ "$how" = emergency ] && part words | grep -q intel_iommu=on || [ "$(drives drivers 0000:01:00.0)" = vfio-pci ] || wrong "after the reboot the card is with $(drives drivers 0000:01:00.0)"
	[ "$(drives drivers-after 0000:01:00.0)" = nouveau ] || wrong "taken back the card is with $(drives drivers-after 0000:01:00.0)"
	as_before
}
judge_revert() {
	taken_and_back
	[ "$how" != emergency ] || [ "$(part mode | head -n 1)" = active ] || wrong "it was not in emergency mode"
	case $how in no-*) [ "$(part cluster | head -n 1)" = 0 ] || wrong "/etc/pve was there" ;; esac
}
judge_script() {
	taken_and_back
	[ "$(ended script)" = 0 ] || wrong "rollback.sh ended with $(ended script)"
}
judge_inherited() { taken_and_back; }
judge_twins() {
	if [ -n "$then" ]; then
		[ "$(drives drivers 0000:01:00.0)" = nvme ] || wrong "what is in the card's place now is with $(drives drivers 0000:01:00.0)"
		part drivers | grep -q vfio-pci && wrong "vfio-pci has $(part drivers | grep vfio-pci | head -n 1)"
	else
		for function in 0 1; do
			[ "$(drives drivers "0000:01:00.$function")" = vfio-pci ] ||
				wrong "the chosen 01:00.$function is with $(drives drivers "0000:01:00.$function")"
		done
		[ "$(drives drivers 0000:02:00.0)" = nouveau ] || wrong "its twin is with $(drives drivers 0000:02:00.0)"
	fi
	part kernel | grep -q 'nouveau .*: probed' || wrong "nouveau has not come at all"
	part kernel | grep -q 'nouveau 0000:01:00.0: probed' && wrong "nouveau had the chosen card before vfio-pci"
	as_before
}
judge_killed() {
	grep -q '^== cut' "$result" || wrong "the power did not go"
	as_before
}
judge_record() {
	[ "$(ended apply)" = 4 ] || wrong "apply did not ask for the reboot"
	[ "$(drives drivers 0000:01:00.0)" = vfio-pci ] || wrong "after the reboot the card is with $(drives drivers 0000:01:00.0)"
	[ "$(ended wished)" = 0 ] || wrong "how it stands then was not told"
}
judge_cut() { as_before; }
