import { onEachRuntime } from "../support/gpu.ts";
import {
  sinkStatisticsMatchTwin,
  sinkStatisticsObeyTheirLaws,
} from "../support/properties/sink_statistics.ts";

onEachRuntime("attentionSinkStatistics() agrees with the float64 twin", sinkStatisticsMatchTwin);
onEachRuntime("attentionSinkStatistics() obeys its laws", sinkStatisticsObeyTheirLaws);
