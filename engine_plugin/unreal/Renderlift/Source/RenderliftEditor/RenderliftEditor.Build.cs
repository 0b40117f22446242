// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

using UnrealBuildTool;

public class RenderliftEditor : ModuleRules
{
	public RenderliftEditor(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		CppStandard = CppStandardVersion.Cpp20;
		PrivateDependencyModuleNames.AddRange(new string[]
		{
			"Core", "CoreUObject", "EditorFramework", "Engine", "InputCore", "LevelEditor", "Renderlift", "RenderCore", "RHI",
			"Settings", "Slate", "SlateCore", "ToolMenus", "UnrealEd", "WorkspaceMenuStructure",
		});
	}
}
