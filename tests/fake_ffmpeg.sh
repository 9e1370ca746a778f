# shellcheck shell=sh
# An ffmpeg with hardware, for a test's own script: that one sets $encoders and what else it lists, defines act (called
# with every command line, it may answer and exit), and then reads this file. What act lets through is done by the real
# ffmpeg in software: what comes back is what such hardware would give.
real=/usr/bin/ffmpeg
list() { # FLAGS TEXT NAME...
	flags=$1 text=$2
	shift 2
	printf ' %s ------\n' "$flags"
	for name; do printf ' %s %-20s %s\n' "$flags" "$name" "$text"; done
	exit 0
}
# what an act may do
say() { printf '%s\n' "$1" >&2; exit "${2:-1}"; }
hang() { exec sleep 1000; }
die() { kill -SEGV $$; }
note() { printf '%s\n' "$*" >>"$0.log"; }

act "$@"
# shellcheck disable=SC2086
case $1 in
-version) printf 'ffmpeg version 6.0-fake Copyright\nlibavcodec     60. 31.102 / 60. 31.102\n'; exit 0 ;;
-encoders) list V..... Encoder ${encoders:-libx264} ;;
-decoders) list V..... Decoder ${decoders:-h264 hevc libdav1d av1} ;;
-filters) list ... 'V->V one' ${filters:-scale_cuda scale_vaapi vpp_qsv} ;;
-hwaccels) printf 'Hardware acceleration methods:\n'; printf '%s\n' ${hwaccels:-cuda vaapi qsv}; exit 0 ;;
esac

software() { # of an encoder
	case $1 in
	h264_*) echo libx264 ;;
	hevc_*) echo libx265 ;;
	av1_*) echo libsvtav1 ;;
	*) echo "$1" ;;
	esac
}
input=
before=
for word; do
	shift
	case $before in
	-init_hw_device | -filter_hw_device | -hwaccel | -hwaccel_device | -hwaccel_output_format | -rc_mode | -low_power | \
		-rc | -cq | -no-scenecut | -forced-idr)
		before=
		continue
		;;
	-c:v)
		case $input$word in
		yes*) # hardware is quick
			# shellcheck disable=SC2086
			case $word in
			*_*) set -- "$@" ${hardware-} -preset "$(case $word in av1*) echo 12 ;; *) echo ultrafast ;; esac)" ;;
			esac
			set -- "$@" -c:v "$(software "$word")"
			before=
			continue
			;;
		av1) word=libdav1d ;; # its own decodes on hardware alone
		*) word=${word%_qsv} ;;
		esac
		set -- "$@" -c:v
		;;
	-frames:v) [ "$word" = 1 ] || word=6 ;;
	-i) input=yes ;; # what stands behind it is of the output
	-vf) word=$(printf '%s\n' "$word" | sed 's/,hwupload[^,]*//; s/,hwdownload//; s/^hwdownload,//; s/scale_[a-z]*=/scale=/; s/vpp_qsv=/scale=/; s/\(scale=[^,]*\):format=[a-z0-9]*/\1/') ;;
	esac
	before=$word
	case $word in
	-init_hw_device | -filter_hw_device | -hwaccel | -hwaccel_device | -hwaccel_output_format | -rc_mode | -low_power | -c:v | \
		-rc | -cq | -no-scenecut | -forced-idr) ;;
	*) set -- "$@" "$word" ;;
	esac
done
exec "$real" "$@"
