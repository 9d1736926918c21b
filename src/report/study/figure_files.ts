/** The study's pictures as separate SVG files. */
import type { Study } from "../../experiments/study/merge.ts";
import type { SvgDocument } from "../plot.ts";
import { standalonePicture } from "../plot_parts.ts";
import { chainPicture, chainsOf } from "./chain.ts";
import { branchPictures, layerPictures, slackPicture, violinPicture } from "./final_pictures.ts";
import type { StudyPicture } from "./picture.ts";
import { curvePictures, onsetPicture, pathPicture, strengthPictures } from "./training_pictures.ts";

/** A file of the report. */
export interface FigureFile {
  /** With its extension. */
  readonly name: string;
  readonly text: string;
}

const WIDTH = 960;

/** Draws the study's pictures. Each file is light or dark, like its reader's system. */
export function studyFigures({ groups }: Study, document: SvgDocument): FigureFile[] {
  const sized = { document, width: WIDTH, suffix: "" };
  const chains = chainsOf(groups);
  return groups.flatMap((group) => {
    const chain = chains.find(({ setting }) => setting === group.setting);
    const pictures: (StudyPicture | undefined)[] = [
      chain && chainPicture(chain, { ...sized, width: 1120 }),
      ...curvePictures(group, document),
      ...strengthPictures(group, document),
      onsetPicture(group, sized),
      violinPicture(group, sized),
      ...group.variants.map((variant) => pathPicture(group, variant, sized)),
      ...branchPictures(group, { ...sized, width: 560 }),
      ...layerPictures(group, document),
      slackPicture(group, sized),
    ];
    return pictures.filter((picture) => picture !== undefined)
      .map(({ id, picture }) => ({ name: `${id}.svg`, text: standalonePicture(picture) }));
  });
}
