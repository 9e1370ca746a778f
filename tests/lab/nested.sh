#!/bin/sh
# nested NUMBER ADDRESS...: inside the lab's machine asks for the group (group.c), then starts a guest with its devices behind
# a root port, and says which PCI devices the guest's firmware finds; while it has them gpuferry is asked to take the card.
group "$@"
shift
card=$1 log=/tmp/firmware words='-device pcie-root-port,id=root,slot=1,chassis=1'
for address; do
	words="$words -device vfio-pci,host=$address,bus=root,addr=0.${address##*.}"
	[ "${address##*.}" != 0 ] || words="$words,multifunction=on"
done
echo '== guest'
# shellcheck disable=SC2086
qemu-system-x86_64 -machine q35 -accel tcg -m 64 -display none -vga none -nodefaults -no-user-config -monitor none \
	-chardev "file,id=log,path=$log" -device isa-debugcon,iobase=0x402,chardev=log $words &
guest=$!
while kill -0 $guest 2>/dev/null && ! grep -qs 'Scan for option roms' $log; do sleep 1; done
grep -s '^PCI: [im]' $log
if kill -0 $guest 2>/dev/null; then
	echo '== held'
	gpuferry inspect
	bind lab_gpu "$card"
	kill $guest
fi
wait $guest
echo "== guest ended with $?"
echo '== bind' # which held on all the while
